/**
 * Chooses the tfjs backend: TensorFlow's native library where `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node` is
 * installed, else onnxruntime, else tfjs's own plain JavaScript.
 */
import { createRequire } from 'node:module';
import * as tf from '@tensorflow/tfjs-core';
import { UserError } from '../model/errors.js';

export const BACKENDS = ['auto', 'tensorflow', 'onnxruntime', 'cpu'] as const;
export type BackendName = (typeof BACKENDS)[number];

/** The backend that runs, and why it and no other, for people. */
export interface SelectedBackend {
  name: Exclude<BackendName, 'auto'>;
  why: string;
}

const TENSORFLOW_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

const LOADERS = {
  tensorflow: loadTensorflow,
  onnxruntime: async () => {
    const { checkProvider } = await import('../export/backend/index.js');
    const provider = checkProvider();
    const rest = provider === 'cpu' ? '' : `, what ${provider} has no kernel for on onnxruntime's cpu kernels`;
    return `onnxruntime-node on ${provider}${rest}`;
  },
  cpu: async () => {
    await import('@tensorflow/tfjs-backend-cpu');
    return 'plain JavaScript, slow';
  },
} satisfies Record<SelectedBackend['name'], () => Promise<string>>;

/**
 * Loads the backend and makes it tfjs's active one.
 * @throws {UserError} when a backend asked for by name does not load
 */
export async function selectBackend(wanted: BackendName): Promise<SelectedBackend> {
  if (wanted !== 'auto') return { name: wanted, why: `${await activate(wanted)}, as asked` };
  const refused: string[] = [];
  for (const name of ['tensorflow', 'onnxruntime', 'cpu'] as const) {
    try {
      const what = await activate(name);
      return { name, why: [what, ...refused].join('; ') };
    } catch (error) {
      // Whoever names a provider wants that one and no slower backend.
      if (name === 'onnxruntime' && process.env.ALEXNET_PROVIDER) throw error;
      refused.push((error as Error).message);
    }
  }
  throw new UserError(`no backend could be loaded: ${refused.join('; ')}`);
}

async function activate(name: SelectedBackend['name']): Promise<string> {
  let what: string;
  try {
    what = await LOADERS[name]();
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`backend ${name}: cannot be loaded: ${(cause as Error).message}`, { cause });
  }
  if (!(await tf.setBackend(name))) throw new UserError(`backend ${name}: does not start; see the message above`);
  if (name === 'cpu') Object.assign(tf.backend(), { firstUse: false }); // no banner that advertises tfjs-node
  return what;
}

async function loadTensorflow(): Promise<string> {
  restoreUtilFunctions();
  for (const name of TENSORFLOW_PACKAGES) {
    if (!isInstalled(name)) continue;
    await import(name);
    if (tf.findBackendFactory('tensorflow') !== null) return name;
    throw new UserError(
      `backend tensorflow: ${name} brings its own copy of tfjs-core; install version ${tf.version_core}, which shares ours`,
    );
  }
  throw new UserError(`backend tensorflow: not installed (npm install ${TENSORFLOW_PACKAGES[0]}@${tf.version_core})`);
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(`${name}/package.json`);
    return true;
  } catch {
    return false; // cannot be resolved: not installed
  }
}

/** tfjs-node 4.22.0 calls functions of `node:util` that Node 23 removed (tensorflow/tfjs#8425, fixed but never released). */
function restoreUtilFunctions(): void {
  const util: Record<string, unknown> = createRequire(import.meta.url)('node:util');
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
  util.isString ??= (value: unknown) => typeof value === 'string';
  util.isBoolean ??= (value: unknown) => typeof value === 'boolean';
  util.isNumber ??= (value: unknown) => typeof value === 'number';
  util.isFunction ??= (value: unknown) => typeof value === 'function';
}
