import assert from 'node:assert/strict';
import { execFileSync, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../deploy/free-port.js';
import { alexnet as alexnetInTurn } from '../real/shared-process.js';
import { npmProject } from '../train/temporary-project.js';
import { corner, order } from './images.js';
import { alexnet, CLI, errorOf, gone, node, OBEDIENT, post, result, running, start, until } from './running.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-lifecycle-'));
after(() => rmSync(folder, { recursive: true }));
const file = writeTinyModel(join(folder, 'tiny.onnx'));

/** `alexnet serve` around an inference process that obeys `order`. */
async function obedientServer() {
  const server = node('./obedient-server.js', 'none', '0');
  return { ...server, url: JSON.parse(await server.line).url as string };
}

const refused = (url: string) =>
  fetch(`${url}/v2/health/live`).then(
    () => false,
    () => true,
  );

test('prints one line on stdout when ready, everything else on stderr, answers, and ends with 0 on SIGTERM', async () => {
  const server = alexnet('serve', '--model', file, '--port', '0', '--provider', 'cpu');
  const { ready, url, provider } = JSON.parse(await server.line);
  assert.deepEqual([ready, provider], [true, 'cpu']);
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.match(server.stderr(), /loading .*tiny\.onnx \(0\.0 MB, 4 classes\)/);
  assert.match(server.stderr(), /loaded in \d+ ms, warmed up in \d+ ms/);
  assert.equal((await post(url, await corner(0).png().toBuffer())).status, 200);
  server.process.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('on SIGTERM is not ready at once, takes no more, answers what waits, closes and ends with 0', async () => {
  const { url, process: child, ended } = await obedientServer();
  const pid = await result(post(url, order('pid')));
  const arriving = request(`${url}/classify`, { method: 'POST', headers: { 'content-length': 100 } });
  arriving.write('half of it');
  const answered = once(arriving, 'response');
  await until(async () => /^alexnet_request_bytes_in_flight 100$/m.test(await (await fetch(`${url}/metrics`)).text()));
  const waiting = [1, 2, 3, 4, 5].map(() => post(url, order('sleep 300')));
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill('SIGTERM');
  await until(async () => (await fetch(`${url}/v2/health/ready`)).status === 503);
  assert.deepEqual(await (await fetch(`${url}/v2/health/ready`)).json(), { ready: false, error: 'shutting down' });
  assert.equal((await answered)[0].statusCode, 503);
  const late = await post(url, order('sleep 0'));
  assert.equal(late.headers.get('connection'), 'close');
  assert.ok(late.headers.has('retry-after'));
  assert.equal((await errorOf(late)).code, 'SHUTTING_DOWN');
  for (const response of await Promise.all(waiting)) {
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('connection'), 'close');
  }
  assert.equal(await ended, 0);
  assert.ok(await refused(url));
  await until(() => gone(pid));
});

test('a terminal that closes sends SIGHUP to all its processes: what waits is answered, then it ends with 0', {
  skip: process.platform === 'win32',
}, async () => {
  const { _: __, ...env } = process.env; // the test may run under nohup itself
  const script = fileURLToPath(new URL('./obedient-server.js', import.meta.url));
  const { process: server, line, ended } = start(process.execPath, [script, 'none', '0'], { env, detached: true });
  const { url } = JSON.parse(await line) as { url: string };
  assert.equal((await post(url, order('sleep 0'))).status, 200);
  const waiting = post(url, order('sleep 1000'));
  const metrics = async () => (await fetch(`${url}/metrics`)).text();
  await until(async () => /^nv_inference_pending_request_count\S* 1$/m.test(await metrics()));
  for (let i = 0; i < 2; i++) process.kill(-server.pid!, 'SIGHUP');
  assert.equal((await waiting).status, 200);
  assert.equal(await ended, 0);
});

for (const [how, command] of Object.entries({
  'nohup, from a shell': ['bash', '-c', 'nohup "$@"', 'bash'],
  'a script under nohup': ['nohup', 'sh', '-c', '"$@"; exit $?', 'sh'],
})) {
  test(`survives SIGHUP, its inference process too, when started by ${how}`, {
    skip:
      spawnSync('nohup', ['--version']).status === 0 && spawnSync('bash', ['--version']).status === 0
        ? false
        : 'needs nohup, bash',
  }, async () => {
    const { _: __, ...env } = process.env;
    const words = [...command.slice(1), process.execPath, CLI, 'serve', '--model', file, '--port', '0'];
    const { process: server, line, ended, stderr } = start(command[0], words, { env, detached: true });
    const { url } = JSON.parse(await line) as { url: string };
    const image = await corner(0).png().toBuffer();
    process.kill(-server.pid!, 'SIGHUP');
    for (let i = 0; i < 3; i++) assert.equal((await post(url, image)).status, 200);
    process.kill(-server.pid!, 'SIGTERM');
    await ended;
    assert.doesNotMatch(stderr(), /the inference process ended/);
  });
}

test('answers what waits and ends when the npx that started it is killed', {
  skip: process.platform === 'win32',
}, async (t) => {
  const {
    process: npx,
    line,
    ended,
    stderr,
  } = start('npx', ['alexnet', 'serve', '--model', file, '--port', '0'], {
    cwd: await npmProject(t),
  });
  const { url } = JSON.parse(await line) as { url: string };
  npx.kill('SIGKILL');
  await ended; // once all that write to its stderr have ended
  assert.match(stderr(), /^SIGTERM: answering the images in line, then ending/m);
  assert.ok(await refused(url));
});

for (const [format, line] of [
  ['text', /^POST \/classify 415 \d+ ms$/m],
  ['json', /"path":"\/classify","status":415,"ms":\d+/],
  ['none', /^$/],
] as const) {
  test(`says of requests what --log ${format} is to, and keeps running when nobody reads it any more`, async () => {
    const server = alexnet('serve', '--model', file, '--port', '0', '--log', format);
    const { url } = JSON.parse(await server.line) as { url: string };
    assert.equal((await post(url, Buffer.from('no image'))).status, 415);
    await until(() => line.test(server.stderr()));
    server.process.stdout!.destroy();
    if (format !== 'none') server.process.stderr!.destroy();
    for (let i = 0; i < 3; i++) assert.equal((await post(url, Buffer.from('no image'))).status, 415);
    server.process.kill('SIGTERM');
    assert.equal(await server.ended, 0);
    assert.match(server.stderr(), line);
  });
}

test('keeps no JSON lines that a full disk does not take', { skip: process.platform !== 'linux' }, async () => {
  const script = `
    const { openLog } = await import(${JSON.stringify(new URL('../../serve/log.js', import.meta.url))});
    const log = openLog('json');
    for (let i = 0; i < 10_000; i++) log('x'.repeat(5000));
    gc();
    console.log(process.memoryUsage().heapUsed);`;
  const words = [
    '-c',
    'exec "$0" "$@" 2>/dev/full',
    process.execPath,
    '--expose-gc',
    '--input-type=module',
    '-e',
    script,
  ];
  const { line } = start('sh', words);
  assert.ok(Number(await line) < 30e6, await line);
});

test('ends at once with another code on a second signal', async () => {
  const { url, process: child, ended } = await obedientServer();
  const pid = await result(post(url, order('pid')));
  const lost = post(url, order('sleep 20000'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill('SIGINT');
  await until(async () => (await fetch(`${url}/v2/health/ready`)).status === 503);
  child.kill('SIGINT');
  await assert.rejects(lost);
  assert.equal(await ended, 130);
  await until(() => gone(pid));
});

test('ends with 0 on SIGTERM while the model is loading', async () => {
  const { process: child, ended, line, stderr } = node('./obedient-server.js', 'loads for ever', '0');
  await until(() => stderr().includes('loading'));
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
  assert.equal(await line, '');
});

test('leaves no inference process behind when it is killed, and none that complains', async () => {
  const { url, process: child, ended, stderr } = await obedientServer();
  const pid = await result(post(url, order('pid')));
  const lost = assert.rejects(post(url, order('sleep 500')));
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill('SIGKILL');
  await lost;
  assert.equal(await ended, 'SIGKILL');
  await until(() => gone(pid));
  assert.doesNotMatch(stderr(), /EPIPE/);
});

test('infers at a lower priority than it answers, views at the lowest, and leaves a lower one as it is', {
  skip: process.platform === 'win32',
}, async () => {
  for (const [started, expected] of [
    [0, 5],
    [10, 10],
  ]) {
    const words = ['-n', String(started), process.execPath, CLI, 'serve', '--model', file, '--port', '0'];
    const server = start('nice', [...words, '--provider', 'cpu']);
    const { url } = JSON.parse(await server.line) as { url: string };
    const niceOf = (...words: string[]) =>
      getPriority(Number(execFileSync('pgrep', ['-P', `${server.process.pid}`, ...words], { encoding: 'utf8' })));
    assert.equal(niceOf() - getPriority(server.process.pid), expected - started);
    await (await fetch(`${url}/explain/graph`)).arrayBuffer();
    assert.equal(niceOf('--newest'), 19);
    server.process.kill('SIGKILL');
  }
});

test('an inference process whose server ends before it is up ends too', async () => {
  const child = fork(OBEDIENT, [JSON.stringify({ file: 'loads for ever' })]);
  after(() => child.kill('SIGKILL'));
  child.disconnect();
  await until(() => child.exitCode === 0);
});

test('does not start when the inference process dies while loading, and says how', async () => {
  const { ended, stderr } = node('./obedient-server.js', 'dies while loading', '0');
  assert.equal(await ended, 1);
  assert.match(
    stderr(),
    /UserError: the inference process ended while loading the model \(SIGKILL\); .*ran out of memory/,
  );
});

test('answers live, not ready and 503 to images while the model is loading', async () => {
  const port = await freePort();
  node('./obedient-server.js', 'loads for ever', String(port));
  const url = `http://127.0.0.1:${port}`;
  await until(async () => !(await refused(url)));
  const response = await fetch(`${url}/v2/health/ready`);
  assert.equal(response.status, 503);
  assert.deepEqual(await response.json(), { ready: false, error: 'the model is loading' });
  const { status, code } = await errorOf(post(url, order('pid')));
  assert.deepEqual([status, code], [503, 'NOT_READY']);
});

test('says so when the port is in use, as JSON if that is the log, ends with 1', async () => {
  const { url } = await running({ file });
  const { port } = new URL(url);
  const { ended, stderr } = alexnet('serve', '--model', file, '--port', port);
  assert.equal(await ended, 1);
  const reason = `cannot listen on 127.0.0.1 port ${port}: the port is in use; choose another port, or 0 for any free one`;
  assert.equal(stderr().trim(), `alexnet serve: ${reason}`);
  const logging = alexnet('serve', '--model', file, '--port', port, '--log', 'json');
  assert.equal(await logging.ended, 1);
  const { level, msg } = JSON.parse(logging.stderr());
  assert.deepEqual([level, msg], ['error', reason]);
});

test('ends with 2 on wrong usage: unknown provider, port out of range, misspelt flag, no model', async () => {
  const cases: [string[], RegExp][] = [
    [['--model', file, '--provider', 'tpu'], /'tpu' is invalid. Allowed choices are auto, cpu, webgpu, cuda/],
    [['--model', file, '--port', '65536'], /Expected a whole number, 0 to 65535, got "65536"/],
    [['--model', file, '--timeout', '0'], /Expected seconds, more than 0/],
    [['--model', file, '--quue', '3'], /unknown option '--quue'\s+\(Did you mean --queue\?\)/],
    [[], /expected --model FILE or --models FOLDER/],
  ];
  for (const [words, message] of cases) {
    const { code, stderr } = await alexnetInTurn('serve', ...words);
    assert.equal(code, 2, words.join(' '));
    assert.match(stderr, message);
  }
});

test('auto takes the CPU with one line that says why, if no GPU runs; CUDA by name ends with 1 and the cause', async (t) => {
  const named = alexnet('serve', '--model', file, '--port', '0', '--provider', 'cuda');
  if ((await named.line) !== '') return t.skip('CUDA runs here');
  assert.equal(await named.ended, 1);
  assert.match(
    named.stderr(),
    /alexnet serve: the model does not run on provider cuda: .+; set provider \(--provider\) to auto to fall back to the CPU/,
  );
  assert.doesNotMatch(named.stderr(), /\n\s+at /);
  const auto = alexnet('serve', '--model', file, '--port', '0');
  const { provider } = JSON.parse(await auto.line);
  if (provider !== 'cpu') return t.skip(`${provider} runs here`);
  assert.deepEqual(
    auto
      .stderr()
      .split('\n')
      .filter((line) => /cuda|webgpu|GPU/.test(line))
      .map((line) => /provider cpu \(auto; (no GPU was found|cuda: .+)\)$/.test(line)),
    [true],
  );
});
