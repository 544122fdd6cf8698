/** The MPI launchers that this machine has, for tests; a test of one that is absent is skipped, visibly. */
import { spawnSync } from 'node:child_process';

export interface Launcher {
  /** How the library names itself. */
  library: string;
  command: string;
  words: string[];
  skip: string | false;
}

function launcher(library: string, command: string, words: string[]): Launcher {
  const found = spawnSync(command, ['--version']).status === 0;
  return { library, command, words, skip: found ? false : `needs ${command}` };
}

/** As root Open MPI wants to be told twice, and more processes than cores once. */
export const launchers: Launcher[] = [
  launcher('Open MPI', 'mpirun.openmpi', ['--allow-run-as-root', '--oversubscribe']),
  launcher('MPICH', 'mpirun.mpich', []),
];
