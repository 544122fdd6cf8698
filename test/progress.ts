/**
 * Which test files run and for how long: one line that is rewritten on a terminal, a line every half minute elsewhere.
 */
import { basename } from 'node:path';

const ERASE = '\r\x1b[K';
const INTERVAL_MS = process.stderr.isTTY ? 200 : 30_000;

export class Progress {
  readonly #running = new Set<string>();
  readonly #started = performance.now();
  readonly #timer = setInterval(() => this.#print(), INTERVAL_MS).unref();
  #done = 0;

  constructor(readonly total: number) {}

  start(file: string): void {
    this.#running.add(file);
  }

  end(file: string): void {
    if (this.#running.delete(file)) this.#done += 1;
  }

  close(): void {
    clearInterval(this.#timer);
    process.stderr.write(`${process.stderr.isTTY ? ERASE : ''}${this.total} test files in ${this.#time()}\n`);
  }

  #time(): string {
    const seconds = Math.round((performance.now() - this.#started) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }

  #print(): void {
    const names = [...this.#running].map((file) => basename(file, '.test.js')).join(', ');
    const line = `${this.#time()}  ${this.#done} of ${this.total} test files${names && `, running ${names}`}`;
    process.stderr.write(
      process.stderr.isTTY ? `${ERASE}${line.slice(0, (process.stderr.columns ?? 80) - 1)}` : `${line}\n`,
    );
  }
}
