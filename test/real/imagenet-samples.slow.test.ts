/** The full-size AlexNet on 200 ImageNet photographs: train, export, serve, post each of them. */
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { extract } from 'tar-stream';
import { alexnet, json, needs, realData, serve } from './command.js';

const ARCHIVE = 'imagenet-samples.tar';

interface Answer {
  predictions: { index: number; label: string; probability: number }[];
  crops: number;
}

describe('AlexNet with 200 classes on real photographs', needs(ARCHIVE), () => {
  let folder: string;
  const images = new Map<string, Buffer>();
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-real-'));
    for await (const entry of createReadStream(realData(ARCHIVE)!).pipe(extract())) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      if (entry.header.type === 'file' && entry.header.name.endsWith('.JPEG'))
        images.set(basename(entry.header.name), Buffer.concat(chunks));
    }
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('trains three epochs at batch 128 with falling loss', async () => {
    const run = join(folder, 'run');
    const { code, stderr } = await alexnet(
      'train',
      '--data',
      realData(ARCHIVE)!,
      '--model',
      'alexnet',
      '--out',
      run,
      '--epochs',
      '3',
      '--lr',
      '0.001', // the paper's 0.01 overshoots in the first few steps
      '--batch',
      '128',
      '--val-fraction',
      '0', // one image a class or two: nothing to generalise from
    );
    assert.equal(code, 0, stderr);
    const losses = [...stderr.matchAll(/val loss (\d+\.\d+)/g)].map(([, loss]) => Number(loss));
    assert.equal(losses.length, 3, stderr);
    assert.ok(losses[2] < losses[1] && losses[1] < losses[0], `validation losses ${losses}`);
  });

  it('exports a file of about 231 MB', async () => {
    const { bytes, parity } = await json<{ bytes: number; parity: { images: number; max_rel: number } }>(
      'export',
      '--run',
      join(folder, 'run'),
      '--out',
      join(folder, 'alexnet.onnx'),
    );
    assert.ok(bytes > 230e6 && bytes < 245e6, `${bytes} bytes`);
    assert.equal(parity.images, 8);
    assert.ok(parity.max_rel < 1e-4, `difference ${parity.max_rel}`);
  });

  it('answers every photograph over HTTP, with what classify says', async () => {
    assert.equal(images.size, 200);
    const file = join(folder, 'alexnet.onnx');
    const server = await serve(file);
    const answers = new Map<string, Answer>();
    try {
      for (const [name, body] of images) {
        const response = await fetch(`${server.url}/classify`, { method: 'POST', body: new Uint8Array(body) });
        assert.equal(response.status, 200, `${name}: ${response.status}`);
        answers.set(name, (await response.json()) as Answer);
      }
    } finally {
      assert.equal(await server.stop(), 0);
    }
    for (const [name, body] of images) await writeFile(join(folder, name), body);
    const names = [...images.keys()];
    const { results } = await json<{ results: (Answer & { image: string })[] }>(
      'classify',
      '--model',
      file,
      ...names.map((name) => join(folder, name)),
    );
    results.forEach(({ predictions }, i) => {
      const answer = answers.get(names[i])!;
      assert.equal(answer.crops, 10);
      assert.equal(answer.predictions.length, 5);
      assert.deepEqual(answer.predictions, predictions, names[i]);
    });
  });
});
