/**
 * tfjs's backend `tensorflow`: TensorFlow's native library through `@tensorflow/tfjs-node-gpu` or
 * `@tensorflow/tfjs-node`, whichever is installed next to this package. Neither is a dependency; what their install
 * scripts and TensorFlow leave unsaid is said here.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { missingCudaLibraries } from './cuda-libraries.js';

const GPU_PACKAGE = '@tensorflow/tfjs-node-gpu';
const PACKAGES = [GPU_PACKAGE, '@tensorflow/tfjs-node'];
const CORE = '@tensorflow/tfjs-core/package.json';

const require = createRequire(import.meta.url);

/**
 * Registers the backend with our tfjs-core.
 * @param named  asked for by name: then tfjs-node-gpu may compute on the CPU
 * @returns      the package and where it computes, for people
 * @throws {UserError} when neither package is installed, or the one that is cannot run, or, unless `named`, has no GPU
 */
export function loadTensorflow(named: boolean): string {
  const name = tensorflowPackage();
  // In a clone of this project npm installs its optional peers only with --save-prod.
  if (!name) throw refusal(`not installed (npm install --save-prod ${GPU_PACKAGE}@${tf.version_core})`);
  checkSharesCore(name);
  const missing = name === GPU_PACKAGE ? missingCudaLibraries() : undefined;
  if (missing && !named) throw refusal(`${name} would compute on the CPU: ${missing}`);
  restoreUtilFunctions();
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true'; // else TensorFlow takes all memory of the GPU at its start
  requirePackage(name);
  const { isUsingGpuDevice } = tf.findBackend('tensorflow') as { isUsingGpuDevice?: boolean };
  if (isUsingGpuDevice) return `${name} on a GPU`;
  if (name !== GPU_PACKAGE) return `${name} on the CPU`;
  const why = missing ?? 'TensorFlow found no GPU that it can use';
  if (!named) throw refusal(`${name} would compute on the CPU: ${why}`);
  return `${name} on the CPU, not on a GPU (${why})`;
}

/** The package that is installed, if one is. */
export const tensorflowPackage = () => PACKAGES.find(isInstalled);

function refusal(reason: string, cause?: unknown): UserError {
  return new UserError(`backend tensorflow: ${reason}`, { cause });
}

function isInstalled(name: string): boolean {
  try {
    require.resolve(`${name}/package.json`);
    return true;
  } catch {
    return false; // cannot be resolved: not installed
  }
}

/** A backend registered with another copy of tfjs-core is none of ours, whatever its version. */
function checkSharesCore(name: string): void {
  const tfjs = createRequire(require.resolve(`${name}/package.json`)).resolve('@tensorflow/tfjs/package.json');
  const theirs = createRequire(tfjs).resolve(CORE);
  const ours = require.resolve(CORE);
  if (theirs === ours) return;
  throw refusal(
    `${name} uses another tfjs-core, ${require(theirs).version} in ${dirname(theirs)}; expected ours, ${tf.version_core} in ` +
      `${dirname(ours)}: install both in one project, npm install alexnet ${name}@${tf.version_core}`,
  );
}

function requirePackage(name: string): void {
  try {
    require(name);
  } catch (cause) {
    const [reason] = (cause as Error).message.split('\n');
    if (!/tfjs_binding\.node|libtensorflow/.test(reason)) throw cause;
    throw refusal(
      `${name} lacks its native part (${reason.trim()}); run its install script: npm rebuild ${name} ` +
        `(npm 12 wants "npm install-scripts approve ${name}" before)`,
      cause,
    );
  }
}

/**
 * tfjs-node 4.22.0 calls functions of `node:util` that Node 23 removed (tensorflow/tfjs#8425, fixed but never
 * released).
 */
function restoreUtilFunctions(): void {
  const util: Record<string, unknown> = require('node:util');
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}
