/** What `--provider auto` tries: a GPU that is real, else the CPU. */
import { describeAdapter, findAdapter, findCudaDevice, signOfGpu } from './adapter.js';
import type { Provider } from './provider.js';

/** Providers to try, in order, and why others are left out. */
export function autoCandidates(): { candidates: readonly Provider[]; refused: string[] } {
  if (signOfGpu() === undefined) return { candidates: ['cpu'], refused: ['no GPU was found'] };
  return { candidates: ['cuda', 'webgpu', 'cpu'], refused: [] };
}

/**
 * WebGPU also runs on software, slower than the provider cpu.
 * @throws if there is nothing else for it
 */
export function requireRealGpu(provider: Provider): void {
  if (provider !== 'webgpu') return;
  const adapter = findAdapter();
  if (!adapter) throw new Error('no driver for Vulkan was found');
  if (adapter.isSoftware) throw new Error(`there is only ${describeAdapter(adapter)}`);
}

/** What a GPU provider computes on, for people; empty for the CPU, and if the machine does not tell. */
export function adapterOf(provider: Provider): string {
  if (provider === 'cpu') return '';
  const adapter = provider === 'webgpu' ? findAdapter() : findCudaDevice();
  return adapter ? describeAdapter(adapter) : '';
}

/** Where in its sources onnxruntime found something wrong, ahead of what that is. */
const SOURCE = /^\/\S*\.(?:cc|h):\d+ .* was false\. /;

/** An error's first line, for a list of reasons. */
export function reasonOf(cause: unknown): string {
  const [line] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
  return line.replace(SOURCE, '').slice(0, 300);
}
