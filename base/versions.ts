/** Versions of this package and of what decides its numbers, for `--version` and for the record of a run. */
import { createRequire } from 'node:module';
import { toolVersion } from './tool-version.js';

const require = createRequire(import.meta.url);

export function packageVersions(): Record<string, string> {
  return {
    alexnet: toolVersion(),
    node: process.versions.node,
    '@tensorflow/tfjs-core': require('@tensorflow/tfjs-core/package.json').version,
    'onnxruntime-node': require('onnxruntime-node/package.json').version,
  };
}
