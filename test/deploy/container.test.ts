import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { corner } from '../serve/images.js';
import { post, until } from '../serve/running.js';
import { writeTinyModel } from '../serve/tiny-model.js';
import { freePort } from './free-port.js';
import { read, serving } from './manifests.js';
import { confined, UID, whyNotConfined } from './read-only-root.js';

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'alexnet-container-'));
// For whoever mounts it.
chmodSync(folder, 0o755);
after(() => rmSync(folder, { recursive: true }));
const skip = whyNotConfined(CLI) ?? false;

const cpuStage = /^FROM \S+ AS cpu$([\s\S]*?)^FROM /m.exec(read('Dockerfile'))![1];
const IN_LINE = 6;

/** ENV of the image, and what the runtime adds. */
function environment(): Record<string, string> {
  const [, text] = /^ENV ((?:.*\\\n)*.*)$/m.exec(cpuStage)!;
  const pairs = [...text.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]);
  return { ...Object.fromEntries(pairs), PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/home/node' };
}

/** The image's entry point with the Deployment's arguments; what is mounted at /models lies in `models` here. */
async function startContainer(models: string) {
  const [alexnet, ...entry] = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(cpuStage)![1]) as string[];
  assert.equal(alexnet, 'alexnet');
  const args = serving().container.args!.map((word) => (word === '/models' ? models : word));
  const port = await freePort();
  const [program, ...words] = confined([process.execPath, CLI, ...entry, ...args, '--port', String(port)]);
  const child = spawn(program, words, { env: environment(), cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  after(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  return { url: `http://127.0.0.1:${port}`, child, log: () => log };
}

/** What the probes see until it is ready, as `live/ready`. */
async function probesUntilReady({
  url,
  child,
  log,
}: Awaited<ReturnType<typeof startContainer>>): Promise<{ seen: Set<string>; readyAt: number }> {
  const status = (path: string) =>
    fetch(url + path).then(
      (response) => response.status,
      () => 0,
    );
  const { livenessProbe, readinessProbe } = serving().container;
  const seen = new Set<string>();
  let readyAt = 0;
  await until(async () => {
    const live = await status(livenessProbe!.httpGet!.path!);
    const ready = await status(readinessProbe!.httpGet!.path!);
    readyAt = Date.now();
    assert.equal(child.exitCode, null, log());
    seen.add(`${live}/${ready}`);
    return ready === 200;
  }, 60_000);
  return { seen, readyAt };
}

/** The processes of the container: the server and those it has started. */
function processesOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return [pid, ...children.flatMap((child) => processesOf(Number(child)))];
}

/** Mounts that a process sees, the later ones on top. */
function mountsOf(pid: number): { point: string; options: string }[] {
  const lines = readFileSync(`/proc/${pid}/mounts`, 'utf8').trim().split('\n');
  return lines.map((line) => line.split(' ')).map(([, point, , options]) => ({ point, options }));
}

const isBelow = (path: string, point: string) => point === '/' || path === point || path.startsWith(`${point}/`);

test('the container serves on a read-only root as uid 1000, ready once the model has run, and drains on SIGTERM', {
  skip,
}, async () => {
  mkdirSync(join(folder, 'quarters', '1'), { recursive: true });
  writeTinyModel(join(folder, 'quarters', '1', 'model.onnx'));
  const container = await startContainer(folder);
  const { url, child, log } = container;

  const { seen, readyAt } = await probesUntilReady(container);
  assert.deepEqual(
    [...seen].filter((one) => one !== '0/0' && one !== '0/503'),
    ['200/503', '200/200'],
  );
  const lines = () =>
    log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; time: string });
  const warm = lines().find(({ msg }) => msg.includes('warmed up'));
  assert.ok(warm && Date.parse(warm.time) <= readyAt, log());

  const processes = processesOf(child.pid!);
  assert.ok(processes.length >= 2);
  for (const pid of processes) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    assert.match(status, new RegExp(`^Uid:(\\s+${UID}){4}$`, 'm'));
    assert.match(status, /^CapEff:\s+0+$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    // The folders that the image and the manifest give it; other programs of this machine may mount what they like.
    const mounts = mountsOf(pid);
    const writable = ['/', '/home/node', '/tmp', '/usr/local/bin', folder, CLI].filter(
      (path) => !/^ro\b/.test(mounts.findLast(({ point }) => isBelow(path, point))!.options),
    );
    assert.deepEqual(writable, []);
  }

  // Halted, so that all are in line when the signal comes.
  const [, ...inference] = processes;
  for (const pid of inference) process.kill(pid, 'SIGSTOP');
  const image = await corner(1).png().toBuffer();
  const answers = Array.from({ length: IN_LINE }, () => post(url, image));
  const metrics = async () => (await fetch(`${url}/metrics`)).text();
  await until(async () => (await metrics()).includes(`\nnv_inference_pending_request_count ${IN_LINE}\n`));
  const ended = once(child, 'exit');
  const started = performance.now();
  child.kill('SIGTERM');
  await until(async () => (await fetch(`${url}/v2/health/ready`)).status === 503);
  for (const pid of inference) process.kill(pid, 'SIGCONT');
  assert.deepEqual(
    (await Promise.all(answers)).map(({ status }) => status),
    Array(IN_LINE).fill(200),
  );
  assert.deepEqual(await ended, [0, null]);
  assert.ok(performance.now() - started < serving().pod.terminationGracePeriodSeconds! * 1000);
});
