/** `npm run bench -- profile`: where a training step's time goes, by layer and direction and by ONNX operator. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './median.js';
import { lastRun, readTrace, type TraceEvent } from './trace.js';

/** @param steps  after two that compile and map memory */
export function profile(network: string, batch: number, steps: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-profile-'));
  try {
    const script = fileURLToPath(new URL('./profiled-step.js', import.meta.url));
    const env = { ...process.env, ALEXNET_PROFILE: join(folder, 'trace') };
    const printed = execFileSync(process.execPath, [script, network, String(batch), String(steps + 2)], {
      env,
      encoding: 'utf8',
    });
    const measured = (JSON.parse(printed) as { stepMs: number; insideMs: number }[]).slice(2);
    const stepMs = median(measured.map((step) => step.stepMs));
    const outsideMs = median(measured.map((step) => step.stepMs - step.insideMs));
    console.log(
      `${network}, batch ${batch}: ${stepMs.toFixed(0)} ms a step (median of ${steps}, with onnxruntime's profiler on), ` +
        `${outsideMs.toFixed(1)} ms of it (${percent(outsideMs, stepMs)}) outside onnxruntime`,
    );
    const events = lastRun(readTrace(folder));
    print('layer and direction', byLayer(events));
    print(
      'operator',
      total(events, (event) => event.args!.op_name!),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)} %`;

/** Nodes that onnxruntime fused have lost their name: they count with the node before them. */
function byLayer(events: TraceEvent[]): [string, number][] {
  let label = 'loss and update';
  return total(events, ({ name }) => {
    if (name.includes('|')) [label] = name.replace(/^fused /, '').split('|');
    return label;
  });
}

function total(events: TraceEvent[], key: (event: TraceEvent) => string): [string, number][] {
  const sums = new Map<string, number>();
  for (const event of events) {
    const name = key(event);
    sums.set(name, (sums.get(name) ?? 0) + event.dur / 1000);
  }
  return [...sums].sort((a, b) => b[1] - a[1]);
}

function print(title: string, rows: [string, number][]): void {
  const sum = rows.reduce((all, [, ms]) => all + ms, 0);
  console.log(`\n${title.padEnd(28)}      ms`);
  for (const [name, ms] of rows.filter(([, ms]) => ms >= 0.0005 * sum))
    console.log(`${name.padEnd(28)}${ms.toFixed(1).padStart(8)}${percent(ms, sum).padStart(9)}`);
}
