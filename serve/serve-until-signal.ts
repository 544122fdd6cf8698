/** A server's life in a terminal or container: started, ready, ended by a signal. */
import { exitCodeOf, onStopSignal, type StopSignal } from '../base/process/stop-signals.js';
import type { Log } from './log.js';
import type { ImageServer } from './server.js';

/** What the images in line have after a signal. */
export const DRAIN_MS = 30_000;

/**
 * Returns after the first signal to end, once the images in line are answered. A second signal, or 30 s, end the
 * process at once with a code that is not 0.
 */
export async function serveUntilSignal(server: ImageServer, log: Log): Promise<void> {
  let stopped: Promise<void> | undefined;
  const signalled = new Promise<void>((resolve) => {
    const force = (code: number) => {
      server.kill();
      process.exit(code);
    };
    const first = (signal: StopSignal) => {
      log(`${signal}: answering the images in line, then ending; again to end at once`);
      stopped = server.stop();
      setTimeout(() => force(1), DRAIN_MS).unref();
      resolve();
    };
    onStopSignal(first, (signal) => force(exitCodeOf(signal)));
  });
  try {
    const { url, provider, models } = await server.start();
    // For whoever started it by a pipe; people have the lines below.
    if (!process.stdout.isTTY) console.log(JSON.stringify({ ready: true, url, provider }));
    const path = (name: string) => (models.length === 1 ? '/classify' : `/classify?model=${name}`);
    for (const { name, labels } of models) log(`${name}, ${labels.length} classes: POST images to ${url}${path(name)}`);
    if (url.startsWith('http')) log(`in a browser: ${url}/; what else it answers: ${url}/docs`);
    await signalled;
  } catch (error) {
    // A signal while loading ends the loading: no fault.
    if (!stopped) throw error;
  }
  await stopped;
}
