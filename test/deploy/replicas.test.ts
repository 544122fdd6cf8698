import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DEFAULTS } from '../../serve/defaults.js';
import { load } from '../bench/http-load.js';
import { corner, order } from '../serve/images.js';
import { errorOf, post } from '../serve/running.js';
import { writeTinyModel } from '../serve/tiny-model.js';
import { hasNginx, startNginx } from './nginx.js';
import { Replicas } from './replicas.js';

const folder = mkdtempSync(join(tmpdir(), 'alexnet-replicas-'));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});
const skip = !hasNginx && 'needs nginx (Debian: apt-get install nginx-light)';
const CLIENTS = 4;

test('a rolling restart behind nginx loses no request, and nginx hands on what the server answers', {
  skip,
}, async () => {
  const replicas = new Replicas(writeTinyModel(join(folder, 'tiny.onnx')), children);
  await replicas.start(2);
  const url = await startNginx(folder, replicas.ports, children);
  const restarts = replicas.restart();
  const { answers, errors, statuses } = await load({
    url,
    path: '/classify',
    live: '/v2/health/ready',
    images: [await corner(0).png().toBuffer(), await corner(2, 640, 480).jpeg().toBuffer()],
    clients: CLIENTS,
    seconds: 0,
    during: restarts,
  });
  assert.deepEqual(await restarts, [0, 0]);
  assert.deepEqual([errors, [...statuses]], [0, [[200, answers]]]);
  assert.ok(answers > CLIENTS * 10, `${answers} answers`);

  const tooLarge = Buffer.concat([order(''), Buffer.alloc(DEFAULTS.maxBytes)]);
  const { status, code } = await errorOf(post(url, tooLarge));
  assert.deepEqual([status, code], [413, 'IMAGE_TOO_LARGE']);
  assert.equal((await fetch(`${url}/metrics`)).status, 404);
});
