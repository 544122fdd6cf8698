/** What a run shows on stderr: a bar on a terminal, else a line every ten seconds. */
import cliProgress from 'cli-progress';
import { stylesOf } from './terminal.js';

/** Where training stands after a step; epochs and steps count from 1. */
export interface StepReport {
  epoch: number;
  epochs: number;
  step: number;
  steps: number;
  loss: number;
  imagesPerSecond: number;
  etaSeconds: number;
}

/** The loop tells, the implementation shows. */
export interface Progress {
  step(report: StepReport): void;
  /** A share of other work done: reading images, validation. `total` is absent if it is not known. */
  work(what: string, done: number, total?: number): void;
  /** A line that stays: a heading if it begins with a dash, a warning if it says so. */
  note(line: string): void;
  /** Ends the bar; notes may follow. */
  stop(): void;
}

const LINE_INTERVAL_MS = 10_000;

export function showProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? progressBar(stream) : progressLines(stream);
}

/** For tests and for `--quiet` callers. */
export const silentProgress: Progress = { step() {}, work() {}, note() {}, stop() {} };

/** Seconds as m:ss or h:mm:ss. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function describeStep({ epoch, epochs, step, steps, loss, imagesPerSecond, etaSeconds }: StepReport): string {
  const speed = imagesPerSecond >= 10 ? imagesPerSecond.toFixed(0) : imagesPerSecond.toFixed(1);
  const eta = formatDuration(etaSeconds);
  return `epoch ${epoch}/${epochs}  step ${step}/${steps}  loss ${loss.toFixed(4)}  ${speed} images/s  ETA ${eta}`;
}

function writeNote(stream: NodeJS.WriteStream, line: string): void {
  const { bold, green, yellow } = stylesOf(stream);
  const styled = line
    .replace(/^\n?— .*/, bold)
    .replace(/^warning:/, yellow)
    .replace(/^(epoch +\d+\/\d+)(.*?)( best)?$/, (_, epoch, values, best = '') => bold(epoch) + values + green(best));
  stream.write(`${styled}\n`);
}

/** Of work that has a line, the last is written too, so that none seems to have stopped short of its end. */
function progressLines(stream: NodeJS.WriteStream): Progress {
  let due = Date.now() + LINE_INTERVAL_MS;
  const begun = new Set<string>();
  /** Left out, of work whose end is not known. */
  let latest = '';
  const write = (what: string, line: string, done: number, total?: number) => {
    const isLast = done === total;
    const isShown = Date.now() >= due || (isLast && begun.has(what));
    if (isShown) {
      due = Date.now() + LINE_INTERVAL_MS;
      stream.write(`${line}\n`);
      begun.add(what);
    }
    if (isLast) begun.delete(what);
    latest = !isShown && total === undefined && begun.has(what) ? `${line}\n` : '';
  };
  const end = () => {
    stream.write(latest);
    latest = '';
  };
  return {
    step: (report) => write('step', describeStep(report), report.step, report.steps),
    work: (what, done, total) =>
      write(what, total === undefined ? `${what} ${done}` : `${what} ${done}/${total}`, done, total),
    note: (line) => {
      end();
      writeNote(stream, line);
    },
    stop: end,
  };
}

function progressBar(stream: NodeJS.WriteStream): Progress {
  const options = {
    stream,
    format: `${stylesOf(stream).cyan('{bar}')} {text}`,
    barsize: 20,
    clearOnComplete: true,
    gracefulExit: false,
    linewrap: true,
  };
  const bar = new cliProgress.SingleBar(options, cliProgress.Presets.shades_classic);
  const update = (done: number, total: number, text: string) => {
    if (!bar.isActive) bar.start(total, done, { text });
    bar.setTotal(total);
    bar.update(done, { text });
  };
  return {
    step: (report) => update(report.step, report.steps, describeStep(report)),
    work: (what, done, total) => update(total ? done : 0, total ?? 1, `${what} ${done}${total ? `/${total}` : ''}`),
    note: (line) => {
      bar.stop(); // clears its line; the next update starts it below the note
      writeNote(stream, line);
    },
    stop: () => bar.stop(),
  };
}
