/** CIFAR-10: checkpoint, exported file and server say the same of every test image. */
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { json, needs, realData, serve } from './command.js';

const ARCHIVE = 'cifar10.tar.gz';

interface Line {
  name: string;
  label: number;
  top5: number[];
  probability: number;
}

/** Near-equal probabilities may change places between two orders of summation. */
const TIE = 1e-4;

describe('cifar10-18pct on CIFAR-10', needs(ARCHIVE), () => {
  let folder: string;
  let run: string;
  let checkpoint: Map<string, Line>;
  const file = () => join(folder, 'cifar10.onnx');

  /** Predictions of `alexnet evaluate`, by the file name at the end of the image's path. */
  async function predictions(...words: string[]): Promise<Map<string, Line>> {
    const lines = join(folder, 'predictions.jsonl');
    await json('evaluate', ...words, '--data', realData(ARCHIVE)!, '--split', 'test', '--predictions', lines);
    const parsed = (await readFile(lines, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    return new Map(parsed.map((line) => [line.name.replace(/^.*test\//, ''), line]));
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-cifar-'));
    run = process.env.ALEXNET_CIFAR_RUN ?? join(folder, 'run');
    if (!process.env.ALEXNET_CIFAR_RUN) {
      const settings = [
        '--lr',
        '0.01',
        '--weight-decay',
        '0.0005',
        '--schedule',
        'cosine',
        '--clip-norm',
        '5',
        '--batch',
        '64',
        '--mirror',
      ];
      await json(
        'train',
        '--data',
        realData(ARCHIVE)!,
        '--model',
        'cifar10-18pct',
        '--out',
        run,
        '--epochs',
        '1',
        ...settings,
      );
    }
    await json('export', '--run', run, '--out', file());
    checkpoint = await predictions('--run', run, '--crops', '10');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('is evaluated alike from the checkpoint and from the exported file', async () => {
    const exported = await predictions('--onnx', file());
    assert.equal(exported.size, 10_000);
    for (const [name, line] of exported) assertSame(name, line, checkpoint.get(name)!);
  });

  it('is answered alike over HTTP', async () => {
    const server = await serve(file());
    let answered = 0;
    try {
      for await (const entry of createReadStream(realData(ARCHIVE)!).pipe(createGunzip()).pipe(extract())) {
        const chunks: Buffer[] = [];
        for await (const chunk of entry) chunks.push(chunk as Buffer);
        if (!/\/test\/.*\.jpg$/.test(entry.header.name)) continue;
        const response = await fetch(`${server.url}/classify`, {
          method: 'POST',
          body: new Uint8Array(Buffer.concat(chunks)),
        });
        assert.equal(response.status, 200, entry.header.name);
        const { predictions: best } = (await response.json()) as {
          predictions: { index: number; probability: number }[];
        };
        const name = entry.header.name.replace(/^.*\/test\//, '');
        const expected = checkpoint.get(name)!;
        assertSame(
          name,
          { ...expected, top5: best.map(({ index }) => index), probability: best[0].probability },
          expected,
        );
        answered += 1;
      }
    } finally {
      await server.stop();
    }
    assert.equal(answered, 10_000);
  });
});

function assertSame(name: string, actual: Line, expected: Line): void {
  assert.ok(
    Math.abs(actual.probability - expected.probability) < TIE,
    `${name}: probability ${actual.probability}, expected ${expected.probability}`,
  );
  const leads = expected.probability > 0.5 + TIE;
  assert.ok(
    !leads || actual.top5[0] === expected.top5[0],
    `${name}: class ${actual.top5[0]}, expected ${expected.top5[0]}`,
  );
}
