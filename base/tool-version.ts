import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** Version of this package. Compiled files lie in dist/base. */
export function toolVersion(): string {
  return require('../../package.json').version;
}
