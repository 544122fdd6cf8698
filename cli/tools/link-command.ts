/**
 * Makes the built command executable, and gives a clone the `node_modules/.bin/alexnet` that npm gives to projects that
 * install the package: for supervisors, and because npx's first call in a clone sets up a project of its own, which
 * takes a minute. Windows would need a shim.
 */
import { chmodSync, existsSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const command = 'dist/cli/main.js';
chmodSync(join(root, command), 0o755);

const folder = join(root, 'node_modules/.bin');
if (process.platform !== 'win32' && existsSync(folder)) {
  const link = join(folder, 'alexnet');
  rmSync(link, { force: true });
  symlinkSync(join('../..', command), link);
}
