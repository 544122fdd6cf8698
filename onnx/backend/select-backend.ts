/**
 * Chooses the tfjs backend: TensorFlow's native library where `@tensorflow/tfjs-node-gpu` or `@tensorflow/tfjs-node` is
 * installed, else onnxruntime, else tfjs's own plain JavaScript.
 */
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import type { ProviderChoice } from './provider.js';
import { loadTensorflow, tensorflowPackage } from './tensorflow-backend.js';

export const BACKENDS = ['auto', 'tensorflow', 'onnxruntime', 'cpu'] as const;
export type BackendName = (typeof BACKENDS)[number];

/** What computes, as a command's flags say it. */
export interface ComputeChoice {
  backend: BackendName;
  /** Of the backend onnxruntime; default: the CPU. */
  provider?: ProviderChoice;
  /** The command always takes this backend: nobody asked for it. */
  fixed?: boolean;
}

/** The backend that runs. */
export interface SelectedBackend {
  name: Exclude<BackendName, 'auto'>;
  /** What runs, equal in all processes of a job. */
  what: string;
  /** That, on which GPU, and why it and no other, for people. */
  why: string;
}

type Loaded = Omit<SelectedBackend, 'name'>;

/** By name. `named`: asked for by name. */
const LOADERS = {
  tensorflow: async (named) => same(loadTensorflow(named)),
  onnxruntime: async (_, choice) => {
    const { chooseProvider } = await import('./index.js');
    (await import('./eager.js')).compileAlways();
    const { provider, why } = chooseProvider(choice);
    const rest = provider === 'cpu' ? '' : `, what ${provider} has no kernel for on onnxruntime's cpu kernels`;
    const what = `onnxruntime-node on ${provider}${rest}`;
    return { what, why: [what, why].filter(Boolean).join('; ') };
  },
  cpu: async () => {
    await import('../../base/tfjs/backend-cpu.js');
    return same('plain JavaScript, slow');
  },
} satisfies Record<SelectedBackend['name'], (named: boolean, provider?: ProviderChoice) => Promise<Loaded>>;

const same = (what: string): Loaded => ({ what, why: what });

/**
 * Selects what a command computes with, and says so.
 * @throws {UserError} see `selectBackend`
 */
export async function startBackend(
  { backend, provider, fixed = false }: ComputeChoice,
  note: (line: string) => void,
): Promise<SelectedBackend> {
  const selected = await selectBackend(backend, provider, !fixed);
  note(`backend ${selected.name}: ${selected.why}`);
  return selected;
}

/**
 * Loads the backend and makes it tfjs's active one.
 * @param asked  a person named it, which `why` then says
 * @throws {UserError} when a backend or provider asked for by name does not load
 */
export async function selectBackend(
  wanted: BackendName,
  provider?: ProviderChoice,
  asked = false,
): Promise<SelectedBackend> {
  if (wanted !== 'auto') {
    const { what, why } = await activate(wanted, true, provider);
    const unused =
      provider && wanted !== 'onnxruntime' ? `; --provider ${provider} is for the backend onnxruntime` : '';
    return { name: wanted, what, why: `${asked ? 'as asked: ' : ''}${why}${unused}` };
  }
  // Whoever names a provider wants that one and no other backend.
  if (provider) {
    const { what, why } = await activate('onnxruntime', true, provider);
    return { name: 'onnxruntime', what, why: provider === 'auto' ? why : `${why}; --provider ${provider} asks for it` };
  }
  const refused: string[] = [];
  const candidates = [...(tensorflowPackage() ? ['tensorflow' as const] : []), 'onnxruntime', 'cpu'] as const;
  for (const name of candidates) {
    try {
      const { what, why } = await activate(name, false);
      return { name, what, why: [why, ...refused].join('; ') };
    } catch (error) {
      refused.push((error as Error).message);
    }
  }
  throw new UserError(`no backend could be loaded: ${refused.join('; ')}`);
}

async function activate(name: SelectedBackend['name'], named: boolean, provider?: ProviderChoice): Promise<Loaded> {
  let loaded: Loaded;
  try {
    loaded = await LOADERS[name](named, provider);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`backend ${name}: cannot be loaded: ${(cause as Error).message}`, { cause });
  }
  if (!(await tf.setBackend(name))) throw new UserError(`backend ${name}: does not start; see the message above`);
  if (name === 'cpu') Object.assign(tf.backend(), { firstUse: false }); // no banner that advertises tfjs-node
  return loaded;
}
