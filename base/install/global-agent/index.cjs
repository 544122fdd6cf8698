/**
 * In a clone of this project, stands in for the package `global-agent`, which onnxruntime-node's install script calls
 * first. That script downloads CUDA libraries (400 MB, not from the npm registry) on every x64 Linux, and without a
 * connection the whole installation fails. Its own setting in .npmrc is unknown to npm, which warns at every command;
 * npm 11 and later can forbid the script by allowScripts in package.json, npm 10 cannot. As a dependency of another
 * project `alexnet` has skip-cuda-download.cjs instead.
 *
 * Only npm's own call ends here, unless the user has decided otherwise: the documented command downloads.
 */
'use strict';

exports.bootstrap = () => {
  const decided = process.env.ONNXRUNTIME_NODE_INSTALL ?? process.env.npm_config_onnxruntime_node_install;
  if (process.env.npm_lifecycle_event === 'postinstall' && decided === undefined) process.exit(0);
};
