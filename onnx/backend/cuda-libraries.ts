/**
 * The libraries that tfjs-node-gpu's TensorFlow (2.9) opens by name before it takes a GPU on Linux x64
 * (tensorflow/stream_executor/platform/default: dlopen_checker.cc, dso_loader.cc). If one is missing it logs a line and
 * computes on the CPU; here all that are missing are named at once, with what brings them.
 */
import { constants } from 'node:os';

/** By what brings them; CUDA 11 and cuDNN 8 are packages of NVIDIA's repository for Ubuntu 22.04. */
const SONAMES = {
  "NVIDIA's driver": ['libcuda.so.1'],
  'CUDA 11: apt-get install cuda-libraries-11-8': [
    'libcudart.so.11.0',
    'libcublas.so.11',
    'libcublasLt.so.11',
    'libcufft.so.10',
    'libcurand.so.10',
    'libcusolver.so.11',
    'libcusparse.so.11',
  ],
  'cuDNN 8: apt-get install libcudnn8=8.9.7.29-1+cuda11.8': ['libcudnn.so.8'],
};

/**
 * Stays loaded: what TensorFlow is about to open need not be unloaded and read again. Of dlfcn.h; not among Node's
 * constants.
 */
const RTLD_NODELETE = 0x1000;

/**
 * @returns for people, which libraries are missing and what brings them; nothing if all are there, or on other systems
 */
export function missingCudaLibraries(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const missing = Object.entries(SONAMES).flatMap(([source, sonames]) => {
    const problems = sonames.map(problemOf).filter((problem) => problem !== undefined);
    return problems.length > 0 ? `${problems.join(', ')} (${source})` : [];
  });
  return missing.length > 0 ? `missing ${missing.join('; ')}` : undefined;
}

/**
 * Asks the dynamic loader itself, so that its whole search counts: LD_LIBRARY_PATH, cache, default folders, and the
 * libraries that a library needs. Node says that what it opened is no addon; any other message is the loader's.
 */
function problemOf(soname: string): string | undefined {
  try {
    process.dlopen({ exports: {} }, soname, constants.dlopen.RTLD_LAZY | RTLD_NODELETE);
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    if (message.startsWith('Module did not self-register')) return undefined;
    return message.startsWith(`${soname}: cannot open`) ? soname : `${soname} (${message})`;
  }
}
