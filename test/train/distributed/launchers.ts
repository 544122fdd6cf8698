/** The MPI launchers that this machine has, for tests; a test of one that is absent is skipped, visibly. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

export interface Launcher {
  /** How the library names itself. */
  library: string;
  command: string;
  words: string[];
  skip: string | false;
}

/** How a job ended. */
export interface EndedJob {
  code: number | null;
  stdout: string;
  stderr: string;
}

function launcher(library: string, command: string, words: string[]): Launcher {
  const found = spawnSync(command, ['--version']).status === 0;
  return { library, command, words, skip: found ? false : `needs ${command}` };
}

/**
 * As root Open MPI wants to be told, and of more processes than cores; those that wait are to leave the cores to the
 * others.
 */
export const launchers: Launcher[] = [
  launcher('Open MPI', 'mpirun.openmpi', [
    '--allow-run-as-root',
    '--oversubscribe',
    '--bind-to',
    'none',
    '--mca',
    'mpi_yield_when_idle',
    '1',
  ]),
  launcher('MPICH', 'mpirun.mpich', []),
];

/**
 * Runs a job.
 * @param parts     of processes that are started alike: how many, and the words after `node`
 * @param onStderr  sees stderr as it grows
 */
export async function launch(
  { command, words }: Launcher,
  parts: { size: number; folder?: string; words: string[] }[],
  onStderr?: (all: string, child: ChildProcess) => void,
): Promise<EndedJob> {
  const separated = parts.flatMap(({ size, folder, words: own }, i) => [
    ...(i > 0 ? [':'] : []),
    ...['-np', String(size), ...(folder ? ['-wdir', folder] : []), process.execPath, ...own],
  ]);
  const child = spawn(command, [...words, ...separated]);
  const ended: EndedJob = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    ended.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    ended.stderr += chunk;
    onStderr?.(ended.stderr, child);
  });
  ended.code = await new Promise((resolve) => child.on('close', resolve));
  return ended;
}
