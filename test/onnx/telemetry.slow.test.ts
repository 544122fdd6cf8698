import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CLI, start, until } from '../serve/running.js';
import { writeTinyModel } from '../serve/tiny-model.js';
import { temporaryFolder } from '../train/data/tiny-images.js';

const hasStrace = spawnSync('strace', ['--version']).status === 0;

/** The name server's port, its cache, or any address of the internet. */
const LOOKUP = /htons\(53\)|nscd|resolve\/io\.systemd|sa_family=AF_INET6?, sin6?_port=htons\((?!0\))/;

test('alexnet serve looks up no name, in the time in which onnxruntime with telemetry does', {
  skip: hasStrace ? false : 'needs strace',
}, async (t) => {
  const folder = await temporaryFolder(t);
  const file = writeTinyModel(join(folder, 'tiny.onnx'));
  const { ORT_DISABLE_TELEMETRY: _, ...ENV } = process.env;
  const traced = (name: string, env: NodeJS.ProcessEnv) => {
    const trace = join(folder, name);
    const words = ['-f', '-qq', '-e', 'trace=execve,connect,sendto', '-o', trace, process.execPath, CLI];
    const serve = ['serve', '--model', file, '--port', '0'];
    const server = start('strace', [...words, ...serve], { env: { ...ENV, HOME: folder, ...env } });
    return { server, calls: () => (existsSync(trace) ? readFileSync(trace, 'utf8') : '') };
  };
  const own = traced('own.txt', {});
  await own.server.line;
  const sending = traced('sending.txt', { ORT_DISABLE_TELEMETRY: '0' });
  await until(() => LOOKUP.test(sending.calls()), 60_000);
  assert.doesNotMatch(own.calls(), LOOKUP);
  for (const { server, calls } of [own, sending]) {
    // the first line is the server's; strace itself takes no signal
    process.kill(Number.parseInt(calls(), 10), 'SIGTERM');
    assert.equal(await server.ended, 0);
  }
});
