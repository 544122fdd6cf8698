/**
 * The GPU that onnxruntime's WebGPU provider takes. onnxruntime-node does not tell, so the API below is asked: Vulkan on
 * Linux and Windows (where WebGPU itself is over Direct3D 12, on the same adapters); every Mac that onnxruntime-node has
 * binaries for has a GPU with Metal.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { VulkanAdapter } from './vulkan-adapters.js';

export interface Adapter {
  name: string;
  /** Driver and API, for people. */
  driver: string;
  /** Computes on the CPU, slower than onnxruntime's own kernels: SwiftShader, llvmpipe, WARP. */
  isSoftware: boolean;
}

/** Discrete first, as WebGPU asks for high performance; software last. By VkPhysicalDeviceType. */
const ORDER = [2, 1, 3, 0, 4];
const CPU_TYPE = 4;
/** Some software sits behind a virtual device. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|\bwarp\b|basic render/i;

/** A driver that hangs is as good as none. */
const LIMIT_MS = 10_000;

/** Of NVIDIA, AMD, Intel, WSL, Mali, Adreno and Tegra under Linux. */
const DEVICE_FILES = /^(nvidia\d+|dxg|kfd|mali\d+|kgsl-3d0|nvhost-gpu|nvgpu)$/;

let found: { adapter: Adapter | undefined } | undefined;

/** The adapter, asked for once; undefined if there is none. Takes 0.1 to 0.5 s. */
export function findAdapter(): Adapter | undefined {
  found ??= { adapter: process.platform === 'darwin' ? metalAdapter() : vulkanAdapter() };
  return found.adapter;
}

/** NVIDIA's first GPU, as its driver under Linux tells; undefined if it does not. */
export function findCudaDevice(): Adapter | undefined {
  const gpus = '/proc/driver/nvidia/gpus';
  const [first] = names(gpus);
  if (!first) return undefined;
  const read = (file: string, pattern: RegExp) => pattern.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
  const name = read(join(gpus, first, 'information'), /^Model:\s*(.+)$/m);
  const version = read('/proc/driver/nvidia/version', /Module.*?\s(\d+[\d.]+)\s/);
  return { name, driver: `NVIDIA ${version}, CUDA`, isSoftware: false };
}

/**
 * What shows that this machine has a GPU, found without loading a driver, in less than a millisecond: a device file,
 * Vulkan's loader or the processor. undefined if nothing does; then there is none, or only software.
 */
export function signOfGpu(): string | undefined {
  if (process.platform === 'darwin') return cpus()[0]?.model;
  if (process.platform === 'win32') {
    const loader = join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', 'vulkan-1.dll');
    return existsSync(loader) ? loader : undefined;
  }
  const device = names('/dev').find((name) => DEVICE_FILES.test(name));
  const node = names('/dev/dri').find((name) => name.startsWith('renderD'));
  if (device) return `/dev/${device}`;
  return node && `/dev/dri/${node}`;
}

/** For people: `NVIDIA H100 (NVIDIA 550.54.15, Vulkan 1.3)`. */
export function describeAdapter({ name, driver, isSoftware }: Adapter): string {
  return `${name} (${driver}${isSoftware ? '; software, slower than the provider cpu' : ''})`;
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // absent or not readable
  }
}

const metalAdapter = (): Adapter => ({ name: `GPU of ${cpus()[0]?.model}`, driver: 'Metal', isSoftware: false });

function vulkanAdapter(): Adapter | undefined {
  const script = fileURLToPath(new URL('./vulkan-adapters.js', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [script], { encoding: 'utf8', timeout: LIMIT_MS });
  if (status !== 0) return undefined;
  const [line] = stdout.trim().split('\n').slice(-1); // a driver may print as well
  const adapters = JSON.parse(line) as VulkanAdapter[];
  const [first] = adapters.sort((a, b) => ORDER.indexOf(a.type) - ORDER.indexOf(b.type));
  if (!first) return undefined;
  const { name, type, driver, api } = first;
  const over = process.platform === 'win32' ? 'Direct3D 12' : `Vulkan ${api}`;
  return {
    name,
    driver: driver ? `${driver}, ${over}` : over,
    isSoftware: type === CPU_TYPE || SOFTWARE.test(name),
  };
}
