/**
 * Copies the parts of Swagger UI that `/docs` serves into dist/serve/docs, with their licences. As a dependency,
 * swagger-ui-dist would bring an install script that reports every installation to its makers (@scarf/scarf).
 */
import { copyFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFolder } from '../../base/make-folder.js';

const FILES = ['swagger-ui.css', 'swagger-ui-bundle.js', 'swagger-ui-bundle.js.LICENSE.txt', 'LICENSE', 'NOTICE'];

const source = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const out = fileURLToPath(new URL('../../serve/docs/', import.meta.url));
await makeFolder(out);
for (const file of FILES) await copyFile(join(source, file), join(out, file));
