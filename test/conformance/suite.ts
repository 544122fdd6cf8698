/**
 * tfjs-core's own test suite against the onnxruntime backend, run by `tfjs_conformance.cjs` from ../shared/peers (or
 * ALEXNET_PEERS). The figures here are those that docs/backend.md quotes; the test next to this file keeps both true.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const RUNNER = join(process.env.ALEXNET_PEERS ?? join(ROOT, '../shared/peers'), 'tfjs_conformance.cjs');

/** Specs that pass: with delegation as users have it, and with every kernel that has a rule held to it. */
export const EXPECTED = {
  passed: 4225,
  failed: 0,
  passedWithoutDelegation: 4105,
  onWebgpu: { passed: 4207, failed: 18 },
};

/** Why the suite cannot run here; undefined if it can. */
export function cannotRun(): string | undefined {
  return existsSync(RUNNER) ? undefined : `tfjs-core's suite needs ${RUNNER}; set ALEXNET_PEERS to its folder`;
}

interface Report {
  passed: number;
  failed: number;
  skipped: number;
  files: { file: string; passed: number; failed: number; failures: { name: string; msg: string }[] }[];
}

/** @param delegation  `off`: a call that its rule refuses is an error instead of the cpu kernel's */
export async function runSuite(delegation: 'on' | 'off', env: NodeJS.ProcessEnv = process.env): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-conformance-'));
  const out = join(folder, 'report.json');
  const backend = join(ROOT, 'dist/onnx/backend/index.js');
  const words = [RUNNER, '--module', backend, '--backend', 'onnxruntime', '--out', out];
  const options = { cwd: ROOT, env: { ...env, ALEXNET_DELEGATION: delegation } };
  try {
    // Failed specs end it with a code too: the report tells.
    const said = await new Promise<string>((resolve) =>
      execFile(process.execPath, words, options, (_error, stdout, stderr) => resolve(stdout + stderr)),
    );
    if (!existsSync(out)) throw new Error(`tfjs-core's suite did not run: ${said.slice(-2000)}`);
    return JSON.parse(readFileSync(out, 'utf8')) as Report;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** How often each refusal failed a spec, most frequent first; anything else that failed under its own message. */
export function reasons(report: Report): [reason: string, specs: number][] {
  const counts = new Map<string, number>();
  for (const { msg } of report.files.flatMap((file) => file.failures)) {
    const reason = /delegation is off: (.*\))/.exec(msg)?.[1] ?? msg.split('\n')[0];
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}
