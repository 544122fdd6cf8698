/**
 * Servers of one model on ports of their own, which can be ended and restarted one after another, as a rolling update
 * does.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { startServer } from '../bench/start-server.js';
import { freePort } from './free-port.js';

const QUEUE = 16;

export class Replicas {
  private readonly running: ChildProcess[] = [];
  readonly ports: number[] = [];

  /** @param children  the processes are added to these, for whoever ends them */
  constructor(
    private readonly file: string,
    private readonly children: ChildProcess[],
  ) {}

  /** One thread each. */
  async start(count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.ports.push(await freePort());
    await Promise.all(this.ports.map((_, i) => this.startOne(i)));
  }

  /** One after another: SIGTERM, its end, a new process, ready. @returns exit codes */
  async restart(): Promise<(number | string)[]> {
    const codes = [];
    for (const [i, child] of this.running.entries()) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const [code, signal] = await ended;
      codes.push(signal ?? code);
      await this.startOne(i);
    }
    return codes;
  }

  private async startOne(i: number): Promise<void> {
    const words = ['--port', String(this.ports[i]), '--threads', '1'];
    this.running[i] = (await startServer(this.file, QUEUE, this.children, ...words)).process;
  }
}
