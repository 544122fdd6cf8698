/**
 * Chooses the tfjs backend: TensorFlow's native library where `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node` is
 * installed, else onnxruntime, else tfjs's own plain JavaScript.
 */
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { loadTensorflow } from './tensorflow-backend.js';

export const BACKENDS = ['auto', 'tensorflow', 'onnxruntime', 'cpu'] as const;
export type BackendName = (typeof BACKENDS)[number];

/** The backend that runs, and why it and no other, for people. */
export interface SelectedBackend {
  name: Exclude<BackendName, 'auto'>;
  why: string;
}

/** By name; each tells what it loaded, for people. `named`: asked for by name. */
const LOADERS = {
  tensorflow: async (named) => loadTensorflow(named),
  onnxruntime: async () => {
    const { checkProvider } = await import('./index.js');
    const provider = checkProvider();
    const rest = provider === 'cpu' ? '' : `, what ${provider} has no kernel for on onnxruntime's cpu kernels`;
    return `onnxruntime-node on ${provider}${rest}`;
  },
  cpu: async () => {
    await import('../../base/tfjs/backend-cpu.js');
    return 'plain JavaScript, slow';
  },
} satisfies Record<SelectedBackend['name'], (named: boolean) => Promise<string>>;

/**
 * Loads the backend and makes it tfjs's active one.
 * @throws {UserError} when a backend asked for by name does not load
 */
export async function selectBackend(wanted: BackendName): Promise<SelectedBackend> {
  if (wanted !== 'auto') return { name: wanted, why: `as asked: ${await activate(wanted, true)}` };
  // Whoever names a provider wants that one and no other backend.
  if (process.env.ALEXNET_PROVIDER)
    return { name: 'onnxruntime', why: `${await activate('onnxruntime', true)}; ALEXNET_PROVIDER names it` };
  const refused: string[] = [];
  for (const name of ['tensorflow', 'onnxruntime', 'cpu'] as const) {
    try {
      const what = await activate(name, false);
      return { name, why: [what, ...refused].join('; ') };
    } catch (error) {
      refused.push((error as Error).message);
    }
  }
  throw new UserError(`no backend could be loaded: ${refused.join('; ')}`);
}

async function activate(name: SelectedBackend['name'], named: boolean): Promise<string> {
  let what: string;
  try {
    what = await LOADERS[name](named);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`backend ${name}: cannot be loaded: ${(cause as Error).message}`, { cause });
  }
  if (!(await tf.setBackend(name))) throw new UserError(`backend ${name}: does not start; see the message above`);
  if (name === 'cpu') Object.assign(tf.backend(), { firstUse: false }); // no banner that advertises tfjs-node
  return what;
}
