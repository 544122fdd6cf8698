/**
 * Runs before the other packages' install scripts, where `alexnet` is a dependency. onnxruntime-node's script downloads CUDA libraries
 * (400 MB, not from the npm registry) on every x64 Linux, and without a connection the whole installation fails. It leaves libraries
 * alone that are there already, so this puts placeholders in their place on a machine without an NVIDIA driver. The documented command
 * overwrites them: ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js
 *
 * Does nothing where the user has decided (ONNXRUNTIME_NODE_INSTALL, or the npm setting onnxruntime-node-install) or a driver is present.
 */
'use strict';
const { existsSync, mkdirSync, writeFileSync } = require('node:fs');
const { dirname, join } = require('node:path');

const DECISIONS = ['ONNXRUNTIME_NODE_INSTALL', 'ONNXRUNTIME_NODE_INSTALL_CUDA'];
const DRIVER = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/dev/dxg'];

const decided = DECISIONS.some((name) => process.env[name] ?? process.env[`npm_config_${name.toLowerCase()}`]);
if (!decided && !DRIVER.some(existsSync)) {
  try {
    const root = dirname(require.resolve('onnxruntime-node/package.json'));
    const { requirements, manifests } = require(join(root, 'script/install-metadata.js'));
    const platform = `${process.platform}/${process.arch}`;
    for (const name of requirements[platform] ?? []) {
      for (const file of Object.keys(manifests[`${platform}:${name}`])) {
        const path = join(root, 'bin/napi-v6', platform, file);
        mkdirSync(dirname(path), { recursive: true });
        // 'wx': a library that is there stays.
        writeFileSync(path, 'Placeholder: no NVIDIA driver when alexnet was installed.\n', { flag: 'wx' });
      }
    }
  } catch (error) {
    // Another layout of onnxruntime-node, or a folder that may not be written: its own script then does what it does.
    if (process.env.npm_config_loglevel === 'verbose') console.error(`alexnet: ${error}`);
  }
}
