/**
 * MPI through the system's own library (Open MPI or MPICH, which Slurm, Kubeflow and mpirun start programs with),
 * called by koffi. Source: MPI 3.1; handles are addresses of symbols in Open MPI (mpi.h) and numbers in MPICH (mpi.h,
 * stable since 3.1 by the ABI initiative).
 */
import { createRequire } from 'node:module';
import { UserError } from '../../base/errors.js';
import type { Communicator } from './communicator.js';

/** By file name, most specific first; those of MPICH's ABI are Intel MPI's and MVAPICH's too. */
const LIBRARIES = ['libmpi.so.40', 'libmpich.so.12', 'libmpi.so.12', 'libmpi.dylib', 'libmpi.so'];
/** Launchers tell by the environment that they started a process, and which library they belong to. */
const LAUNCHERS = [
  { variable: 'OMPI_COMM_WORLD_SIZE', first: /libmpi\.so\.40/ },
  { variable: 'PMI_SIZE', first: /libmpich|libmpi\.so\.12/ },
];

const THREAD_SERIALIZED = 2;
/** Room for the library's own use of the stack; koffi's default is too small for MPICH. */
const STACK_BYTES = 8 * 2 ** 20;
const VERSION_BYTES = 8192;
/** MPI counts with an int. */
const LARGEST_MESSAGE = 2 ** 30;

interface Handles {
  /** How koffi passes a handle. */
  type: 'void *' | 'int';
  /** Instead of what is sent: it lies where the result goes. */
  inPlace: bigint;
  world: unknown;
  float: unknown;
  byte: unknown;
  sum: unknown;
}

type Koffi = typeof import('koffi');
type Library = ReturnType<Koffi['load']>;

/**
 * Joins the job that the launcher started; alone it is a job of one process.
 * @throws {UserError} if there is no MPI library, or it cannot be called from threads
 */
export function joinJob(): Communicator {
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  koffi.config({ sync_stack_size: STACK_BYTES, async_stack_size: STACK_BYTES });
  // UCX, below MPICH, rewrites libc's functions of memory while V8's threads use them: of 290 jobs of three processes
  // 11 crashed, without it none of 350.
  process.env.UCX_MEM_EVENTS ??= 'no';
  const library = loadLibrary(koffi);
  const name = versionOf(library);
  const handles = handlesOf(library, name);
  const call = caller(library);
  const provided = [0];
  call('int MPI_Init_thread(void *, void *, int, _Out_ int *)')(null, null, THREAD_SERIALIZED, provided);
  if (provided[0] < THREAD_SERIALIZED)
    throw new UserError(`${name}: built without threads; --distributed mpi needs them`);
  return new MpiCommunicator(call, handles, name);
}

function loadLibrary(koffi: Koffi): Library {
  const named = process.env.ALEXNET_MPI;
  const launcher = LAUNCHERS.find(({ variable }) => process.env[variable] !== undefined);
  const known = launcher
    ? LIBRARIES.toSorted((a, b) => Number(launcher.first.test(b)) - Number(launcher.first.test(a)))
    : LIBRARIES;
  const tried: string[] = [];
  for (const file of named === undefined ? known : [named]) {
    try {
      return koffi.load(file);
    } catch (error) {
      tried.push(`${file} (${(error as Error).message})`);
    }
  }
  throw new UserError(
    `--distributed mpi: no MPI library found: ${tried.join('; ')}; install Open MPI or MPICH (Debian: apt-get install openmpi-bin), or set ALEXNET_MPI to the library`,
  );
}

/** Before anything else: it may be called before MPI_Init. */
function versionOf(library: Library): string {
  const text = Buffer.alloc(VERSION_BYTES);
  const length = [0];
  library.func('int MPI_Get_library_version(void *, _Out_ int *)')(text, length);
  const [line] = text.toString('latin1', 0, length[0]).replaceAll('\0', '').split('\n');
  return line.replace(/\s+/g, ' ').split(',')[0].trim();
}

function handlesOf(library: Library, name: string): Handles {
  if (name.startsWith('Open MPI')) {
    const symbol = (variable: string) => library.symbol(variable, 'void');
    const [world, float] = [symbol('ompi_mpi_comm_world'), symbol('ompi_mpi_float')];
    return { type: 'void *', inPlace: 1n, world, float, byte: symbol('ompi_mpi_byte'), sum: symbol('ompi_mpi_op_sum') };
  }
  return {
    type: 'int',
    inPlace: 2n ** 64n - 1n,
    world: 0x44000000,
    float: 0x4c00040a,
    byte: 0x4c00010d,
    sum: 0x58000003,
  };
}

/** Declares a function; what it returns is an error where it is not 0. */
function caller(library: Library) {
  return (prototype: string) => {
    const [, name] = /(MPI_\w+)/.exec(prototype)!;
    const declared = library.func(prototype);
    const check = (code: number) => {
      if (code !== 0) throw new Error(`${name} failed with MPI error ${code}`);
    };
    const called = (...values: unknown[]) => check(declared(...values));
    const inBackground = (...values: unknown[]) =>
      new Promise<void>((resolve, reject) => {
        declared.async(...values, (error: Error | null, code: number) => {
          try {
            if (error) throw error;
            check(code);
            resolve();
          } catch (failure) {
            reject(failure);
          }
        });
      });
    return Object.assign(called, { beside: inBackground });
  };
}

class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  private readonly functions;

  constructor(
    call: ReturnType<typeof caller>,
    private readonly handles: Handles,
    readonly library: string,
  ) {
    const { type, world } = handles;
    this.functions = {
      allReduce: call(`int MPI_Allreduce(void *, void *, int, ${type}, ${type}, ${type})`),
      broadcast: call(`int MPI_Bcast(void *, int, ${type}, int, ${type})`),
      allGather: call(`int MPI_Allgather(void *, int, ${type}, void *, int, ${type}, ${type})`),
      allToAll: call(`int MPI_Alltoall(void *, int, ${type}, void *, int, ${type}, ${type})`),
      abort: call(`int MPI_Abort(${type}, int)`),
      finalize: call('int MPI_Finalize()'),
    };
    const [rank, size] = [[0], [0]];
    call(`int MPI_Comm_rank(${type}, _Out_ int *)`)(world, rank);
    call(`int MPI_Comm_size(${type}, _Out_ int *)`)(world, size);
    [this.rank, this.size] = [rank[0], size[0]];
  }

  async allReduceSum(values: Float32Array): Promise<void> {
    const { inPlace, world, float, sum } = this.handles;
    await this.functions.allReduce.beside(inPlace, values, values.length, float, sum, world);
  }

  async broadcast(bytes: Uint8Array): Promise<void> {
    const { world, byte } = this.handles;
    for (let start = 0; start < bytes.length; start += LARGEST_MESSAGE) {
      const part = bytes.subarray(start, start + LARGEST_MESSAGE);
      await this.functions.broadcast.beside(part, part.length, byte, 0, world);
    }
  }

  async allGather(bytes: Uint8Array): Promise<Uint8Array[]> {
    const { world, byte } = this.handles;
    const all = new Uint8Array(bytes.length * this.size);
    await this.functions.allGather.beside(bytes, bytes.length, byte, all, bytes.length, byte, world);
    return Array.from({ length: this.size }, (_, rank) => all.subarray(rank * bytes.length, (rank + 1) * bytes.length));
  }

  async allToAll(bytes: Uint8Array): Promise<Uint8Array> {
    const { world, byte } = this.handles;
    const [came, part] = [new Uint8Array(bytes.length), bytes.length / this.size];
    await this.functions.allToAll.beside(bytes, part, byte, came, part, byte, world);
    return came;
  }

  abort(code: number): void {
    this.functions.abort(this.handles.world, code);
  }

  finalize(): void {
    this.functions.finalize();
  }
}
