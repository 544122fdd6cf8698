/**
 * `npm run bench -- classifiers`: torchvision's ResNet-50 and MobileNetV2 over HTTP compared with bare `session.run` on all
 * cores, in turn. Weights are random; images are the photographs of `npm run bench -- serve`. Needs Python's torchvision.
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bareRate } from './bare-rate.js';
import { type Load, load } from './http-load.js';
import { median } from './median.js';
import { IMAGES, photographs } from './photographs.js';
import { WARM_UP_S } from './serve.js';
import { startServer } from './start-server.js';
import { hasTorch, PYTHON } from './torch-peers.js';

const SCRIPT = fileURLToPath(new URL('../../../test/bench/torch_classifiers.py', import.meta.url));
const NAMES = ['resnet50', 'mobilenet_v2'];
const CLIENTS = 8;
const CONFIG = {
  input: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  labels: Array.from({ length: 1000 }, (_, i) => `class ${i}`),
};

/** @param seconds  of load in every turn */
export async function classifiers(rounds: number, seconds: number): Promise<void> {
  if (!existsSync(IMAGES)) return console.log(`skipped: needs ${IMAGES}`);
  if (!(await hasTorch('torch, torchvision'))) return console.log(`skipped: needs torch and torchvision of ${PYTHON}`);
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-bench-'));
  const children: ChildProcess[] = [];
  try {
    console.log(
      `${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}; ${CLIENTS} clients, ${rounds} rounds of ${seconds} s in turn`,
    );
    execFileSync(PYTHON, [SCRIPT, folder], { stdio: ['ignore', 'ignore', 'inherit'] });
    writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG));
    const images = await photographs();
    for (const name of NAMES) {
      const file = join(folder, `${name}.onnx`);
      const { url, process } = await startServer(file, CLIENTS, children);
      const shared = { url, path: '/classify', live: '/v2/health/live', images, clients: CLIENTS };
      await load({ ...shared, seconds: WARM_UP_S });
      const turns: { served: Load; bare: number }[] = [];
      for (let round = 0; round < rounds; round++) {
        turns.push({ served: await load({ ...shared, seconds }), bare: bareRate(file, seconds) });
      }
      process.kill('SIGKILL');
      report(name, turns);
    }
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

function report(name: string, turns: { served: Load; bare: number }[]): void {
  const served = turns.map(({ served: { rate } }) => rate);
  const bare = turns.map((turn) => turn.bare);
  const ratios = served.map((rate, i) => rate / bare[i]);
  const errors = turns.reduce((sum, turn) => sum + turn.served.errors, 0);
  console.log(
    `${name}: ${median(served).toFixed(1)} images/s, session.run alone ${median(bare).toFixed(1)} (${bare.map((one) => one.toFixed(1)).join(', ')}); ` +
      `median ${median(ratios).toFixed(2)} of it (${ratios.map((one) => one.toFixed(2)).join(', ')}); errors ${errors}`,
  );
}
