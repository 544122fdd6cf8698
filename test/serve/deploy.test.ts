import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { serveCommand } from '../../serve/main.js';
import { DEFAULTS } from '../../serve/server.js';
import { obedient } from './running.js';

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');
const manifests = ['serve/deploy/kubernetes.yaml', 'serve/deploy/kserve.yaml'];
const flags = new Set(serveCommand().options.map(({ long }) => long));

for (const file of manifests) {
  const text = read(file);
  test(`${file}: its probes are answered, and its flags are the command’s`, async () => {
    const { url } = await obedient();
    const paths = [...text.matchAll(/path: (\/(?:v2|metrics)[\w/]*)/g)].map(([, path]) => path);
    assert.ok(paths.length >= 2);
    for (const path of paths) assert.equal((await fetch(url + path)).status, 200, path);
    const used = [...text.matchAll(/args: \[(.*)\]/g)].flatMap(([, args]) => args.match(/--[\w-]+/g) ?? []);
    assert.ok(used.length >= 2);
    for (const flag of used) assert.ok(flags.has(flag), flag);
    for (const [, port] of text.matchAll(/containerPort: (\d+)/g)) assert.equal(Number(port), DEFAULTS.port);
  });
}

test('the Dockerfile asks what is there', async () => {
  const { url } = await obedient();
  const paths = [...read('Dockerfile').matchAll(/127\.0\.0\.1:8080(\/[\w/]+)/g)].map(([, path]) => path);
  assert.ok(paths.length > 0);
  for (const path of paths) assert.equal((await fetch(url + path)).status, 200, path);
});
