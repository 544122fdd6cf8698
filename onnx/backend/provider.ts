/** What onnxruntime computes on, by name: execution providers of its own, and `auto`, which chooses among them. */
import { bothNames, UserError } from '../../base/errors.js';
import type { OperatorForm } from '../graph.js';

export const PROVIDERS = ['cpu', 'webgpu', 'cuda'] as const;
export type Provider = (typeof PROVIDERS)[number];

export const PROVIDER_CHOICES = ['auto', ...PROVIDERS] as const;
export type ProviderChoice = (typeof PROVIDER_CHOICES)[number];

/** The environment variable that stands for `--provider`. */
export const PROVIDER_VARIABLE = 'ALEXNET_PROVIDER';

/**
 * @param value  of the environment variable; nothing means the CPU
 * @throws {UserError} when it names no provider
 */
export function providerNamed(value: string | undefined): ProviderChoice {
  const provider = PROVIDER_CHOICES.find((name) => name === (value || 'cpu'));
  if (provider) return provider;
  throw new UserError(`${PROVIDER_VARIABLE}: expected one of ${PROVIDER_CHOICES.join(', ')}, got "${value}"`);
}

const AUTO = `set ${bothNames('provider')} to auto to use one that works`;

/** What a provider needs, if it does not run. */
export const PROVIDER_ADVICE: Record<Provider, string> = {
  cpu: 'reinstall onnxruntime-node',
  webgpu: 'it needs a GPU with a driver for Vulkan, Metal or Direct3D 12; ' + AUTO,
  cuda: 'it needs CUDA 12, cuDNN 9 and the libraries that the command under "CUDA" in docs/gpu.md fetches; ' + AUTO,
};

/** True where onnxruntime-node leaves outputs in the device's memory and takes them from there as inputs. */
export const KEEPS_TENSORS: Record<Provider, boolean> = { cpu: false, webgpu: true, cuda: false };

/**
 * Operator forms that a provider has no kernel for, of those that rules can do without (onnxruntime 1.30). All else that
 * it lacks runs on the cpu kernels. A product of matrices takes one group of cores for each tile of the result, so that
 * one with a long sum uses few. WebGPU takes some of these forms all the same: it fails on `MaxPool` with positions,
 * and computes wrong numbers where an image as large as the kernel is padded at its end alone, where `ConvTranspose` has
 * groups, where those of `Conv` are no multiple of 4 channels (others it computes number by number, without tiles), where
 * the channels of `Conv` are a multiple of 3 and none of 4, and where `Slice` goes backwards from elsewhere than the end.
 */
export const LACKS: Record<Provider, ReadonlySet<OperatorForm>> = {
  cpu: new Set(),
  webgpu: new Set<OperatorForm>([
    'Cast of int64',
    'Conv of 6, 9, 15 … channels',
    'Conv of an image as large as its kernel, padded at its end',
    'Conv with groups',
    'ConvTranspose with groups',
    'IsInf',
    'IsNaN',
    'LogSoftmax',
    'MatMul of few rows and a long sum',
    'MaxPool with positions',
    'Slice backwards from within',
  ]),
  cuda: new Set(),
};
