/**
 * stdout and stderr whose reader may go away: `alexnet train 2>&1 | tee log` after Ctrl-C, `| head -1`, a closed
 * terminal.
 */
import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

/** The reader ended, on Windows too; the terminal was closed. */
const GONE = ['EPIPE', 'EOF', 'EIO'];

/**
 * From now on lines that nobody can read are dropped, and the command continues: its files are what matters. Only
 * results that a full disk keeps from stdout make it end with 1.
 */
export function outliveReaders(): void {
  process.stderr.on('error', () => undefined);
  let isFull = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isFull || GONE.includes(error.code ?? '')) return;
    isFull = true;
    console.error(`alexnet: cannot write to stdout: ${error.message}`);
    process.exitCode ||= 1;
  });
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  // Node resets terminals as it exits, and aborts if one has been closed.
  process.on('exit', () => {
    for (const fd of terminals) if (!isatty(fd)) closeSync(fd);
  });
}
