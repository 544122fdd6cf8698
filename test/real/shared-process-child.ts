/** Runs the commands that `shared-process.ts` sends, and answers what each printed and the code it would end with. */
import events from 'node:events';
import { runCommand } from '../../cli/commands.js';

events.defaultMaxListeners = 0; // every command adds some

/** Collects what is written to the stream until `restore`. */
function capture(stream: NodeJS.WriteStream) {
  const write = stream.write;
  const captured = { text: '', restore: () => void Object.assign(stream, { write }) };
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    captured.text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    const done = rest.at(-1);
    if (typeof done === 'function') process.nextTick(done);
    return true;
  };
  return captured;
}

process.on('disconnect', () => process.exit());
process.on('message', async ({ cwd, words }: { cwd: string; words: string[] }) => {
  process.chdir(cwd);
  process.exitCode = undefined;
  const [stdout, stderr] = [capture(process.stdout), capture(process.stderr)];
  await runCommand(words);
  stdout.restore();
  stderr.restore();
  process.send!({ code: process.exitCode ?? 0, stdout: stdout.text, stderr: stderr.text });
});
