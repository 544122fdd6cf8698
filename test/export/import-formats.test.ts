/** Files of PyTorch and NumPy, made by test/fixtures/torch_files.py, and what may be hidden in such files. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { UserError } from '../../base/errors.js';
import { random } from '../../base/random.js';
import { openSource } from '../../export/import/open-source.js';
import type { Source } from '../../export/import/source.js';
import { findNetwork } from '../../model/registry.js';
import { alexnet } from '../real/shared-process.js';

const VERSIONS = ['torch1.13', 'torch2.6'];
const TORCH = ['state.pth', 'legacy.pth', 'legacy-module.pt', 'checkpoint.pth.tar', 'lightning.ckpt', 'module.pt'];
TORCH.push('script.pt', 'half.pth', 'bfloat16.pth', 'double.pth', 'channels-last.pth', 'views.pth', 'protocol-4.pth');
const NUMPY = ['lists.npy', 'named.npy', 'protocol-2.npy', 'flat.npz', 'packed.npz'];

const spec = findNetwork('alexnet-torchvision');
let folder: string;
const files = new Map<string, Buffer>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'alexnet-formats-'));
  for (const version of VERSIONS) {
    const fixture = new URL(`../../../test/fixtures/${version}-files.json.gz`, import.meta.url);
    const stored = JSON.parse(gunzipSync(await readFile(fixture)).toString()) as Record<string, string>;
    for (const [name, text] of Object.entries(stored)) files.set(`${version}-${name}`, Buffer.from(text, 'base64'));
  }
});
after(() => rm(folder, { recursive: true }));

async function opened(name: string, bytes = files.get(name)!): Promise<Source> {
  const file = join(folder, name);
  await writeFile(file, bytes);
  return (await openSource(file))(spec);
}

/** As the script fills tensors. */
const filled = (n: number) => Array.from({ length: n }, (_, i) => (i - Math.floor(n / 2)) / 8);

/** Layers of the script's network: a convolution [4, 3, 2, 2] and a fully connected layer of 4 to 5. */
async function assertNetwork({ layers, unused }: Source): Promise<void> {
  assert.deepEqual(unused, []);
  const [conv, fc] = layers;
  assert.deepEqual([conv.kind, [...conv.kernel.dims], [...conv.bias!.dims]], ['conv', [4, 3, 2, 2], [4]]);
  assert.deepEqual([...(await conv.kernel.read())], filled(48));
  assert.deepEqual([...(await conv.bias!.read())], filled(4));
  const kernel = [...(await fc.kernel.read())];
  const outFirst = fc.transposed ? kernel : filled(20).map((_, i) => kernel[(i % 4) * 5 + Math.floor(i / 4)]);
  assert.deepEqual(outFirst, filled(20));
  assert.deepEqual([...(await fc.bias!.read())], filled(5));
}

for (const version of VERSIONS) {
  for (const name of [...TORCH, ...NUMPY]) {
    it(`reads ${name} of ${version}`, async () => assertNetwork(await opened(`${version}-${name}`)));
  }

  it(`takes constants of response normalisation from a module that ${version} saved whole`, async () => {
    for (const name of ['module.pt', 'legacy-module.pt']) {
      const { lrns } = await opened(`${version}-${name}`);
      assert.deepEqual(lrns, [{ size: 3, alpha: 0.5, beta: 0.6, bias: 1.5 }], name);
    }
  });
}

it('reads a dictionary as Python 2 wrote it, whose arrays are strings, as bvlc_alexnet.npy is', async () => {
  const little = (value: number) => String.fromCharCode(value & 255, (value >> 8) & 255, 0, 0);
  const array = (dims: number[], values: number[], isLong: boolean) => {
    const data = Buffer.from(Float32Array.from(values).buffer).toString('latin1');
    const shape = `(${dims.map((length) => `K${String.fromCharCode(length)}`).join('')}t`;
    const dtype = 'cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb';
    const text = isLong ? `T${little(data.length)}${data}` : `U${String.fromCharCode(data.length)}${data}`;
    return `${empty}(K\x01${shape}${dtype}I00\n${text}tb`;
  };
  const empty = 'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR';
  const hwio = filled(48).map((_, i) => filled(48)[((i % 4) * 3 + (Math.floor(i / 4) % 3)) * 4 + Math.floor(i / 12)]);
  const inOut = filled(20).map((_, i) => filled(20)[(i % 5) * 4 + Math.floor(i / 5)]);
  const layers = {
    conv1: [array([2, 2, 3, 4], hwio, true), array([4], filled(4), false)],
    fc1: [array([4, 5], inOut, true), array([5], filled(5), false)],
  };
  const items = Object.entries(layers).map(
    ([name, [kernel, bias]]) => `U${String.fromCharCode(name.length)}${name}](${kernel}${bias}e`,
  );
  const objects = 'cnumpy\ndtype\n(U\x02O8K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb';
  const pickle = `\x80\x02${empty}(K\x01)${objects}I00\n](}(${items.join('')}uetb.`;
  const header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }".padEnd(117);
  const bytes = Buffer.from(`\x93NUMPY\x01\x00\x76\x00${header}\n${pickle}`, 'latin1');
  await assertNetwork(await opened('python2.npy', bytes));
});

describe('a file that is not what it seems', () => {
  /** A pickle as `torch.save` writes it before 1.6, with other contents. */
  const legacy = (body: string) => {
    const magic = '\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.';
    const system = '\x80\x02}q\x00.';
    return Buffer.from(`${magic}\x80\x02M\xe9\x03.${system}\x80\x02${body}`, 'latin1');
  };
  const refused: [string, Buffer, RegExp][] = [
    [
      'system.pth',
      legacy('cposix\nsystem\n(X\x07\x00\x00\x00echo hitR.'),
      /names posix\.system, .*nothing was run; save/,
    ],
    ['eval.pth', legacy('c__builtin__\neval\n(X\x01\x00\x00\x001tR.'), /names __builtin__\.eval/],
    ['stack.pth', legacy('\x8c\x02os\x8c\x06system\x93.'), /names os\.system/],
    ['own.pth', legacy('c__main__\nAlexNet\n)\x81.'), /names __main__\.AlexNet, .*torch\.save\(model\.state_dict\(\)/],
    ['instance.pth', legacy('(i__main__\nA\n.'), /expected a pickle's instruction .* 0x69/],
    ['length.pth', legacy('X\xff\xff\xff\x7f.'), /cut short: expected 2147483647 bytes/],
    ['length8.pth', legacy('\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.'), /cut short: expected/],
    ['long.pth', legacy('\x8b\xff\xff\xff\x7f.'), /an integer of at most/],
    ['empty.pth', legacy('0.'), /nothing on the stack/],
    ['mark.pth', legacy('t.'), /no mark on the stack/],
    ['memo.pth', legacy('h\x07.'), /nothing kept under 7/],
    ['loop.pth', legacy(`${'('.repeat(2_100_000)}.`), /at most 2000000 instructions/],
    ['list.pth', legacy(']\x00.].'), /expected a pickle's instruction/],
    ['plain.pth', Buffer.from('\x80\x02}q\x00.', 'latin1'), /expected weights \(\.onnx, .*got something else/],
    [
      'weights.h5',
      Buffer.from('\x89HDF\r\n\x1a\n more', 'latin1'),
      /convert it with python3 -c "import h5py.*weights\.npz/,
    ],
    ['empty.npy', Buffer.from('\x93NUMPY\x01', 'latin1'), /damaged or cut short/],
  ];
  for (const [name, bytes, message] of refused) {
    it(`is refused, and nothing in it is run: ${name}`, async () => {
      await assert.rejects(opened(name, bytes), { name: 'UserError', message });
    });
  }

  it('is refused by the command in one line, without a trace, and leaves no run', async () => {
    const file = join(folder, 'command.pth');
    await writeFile(file, legacy('cposix\nsystem\n(X\x07\x00\x00\x00echo hitR.'));
    const { code, stdout, stderr } = await alexnet('import', file, '--out', join(folder, 'run'));
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(
      stderr,
      /^alexnet import: \S*command\.pth: names posix\.system, which is neither a tensor nor a container/,
    );
    assert.equal(stderr.trim().split('\n').length, 1);
    assert.ok(!existsSync(join(folder, 'run', 'config.json')));
  });

  it('is refused if a member of a ZIP archive says to be larger than it can be', async () => {
    const whole = files.get('torch2.6-packed.npz')!;
    const entry = whole.indexOf('PK\x01\x02');
    const changed = (field: number, value: number) => {
      const bytes = Buffer.from(whole);
      bytes.writeUInt32LE(value, entry + field);
      return bytes;
    };
    const [packed, size, offset] = [20, 24, 42];
    const cases: [Buffer, RegExp][] = [
      [changed(size, 0xf0000000), /damaged ZIP archive: .* says 4026531840 bytes from/],
      [changed(packed, 0xf0000000), /damaged ZIP archive: .* ends at byte/],
      [changed(offset, 0xf0000000), /damaged ZIP archive: .* ends at byte/],
      [changed(size, 100), /cannot be unpacked|unpacks to|cut short/],
      [whole.subarray(0, whole.length - 30), /cut short: expected a ZIP archive's directory at its end/],
    ];
    for (const [bytes, message] of cases) {
      await assert.rejects(
        opened('large.npz', bytes).then(({ layers }) => Promise.all(layers.map(({ kernel }) => kernel.read()))),
        { name: 'UserError', message },
      );
    }
  });

  for (const name of ['torch1.13-state.pth', 'torch2.6-state.pth', 'torch2.6-flat.npz']) {
    it(`is refused if a number in ${name} differs from what was saved but is still a number`, async () => {
      const bytes = Buffer.from(files.get(name)!);
      const bias = Buffer.from(Float32Array.from(filled(5)).buffer);
      bytes[bytes.indexOf(bias) + 2] ^= 0x10;
      await assert.rejects(
        opened(`flipped-${name}`, bytes).then(({ layers }) =>
          Promise.all(layers.flatMap(({ kernel, bias }) => [kernel.read(), bias!.read()])),
        ),
        {
          name: 'UserError',
          message: /damaged ZIP archive: \S+ has the CRC-32 [0-9a-f]{8}, expected [0-9a-f]{8}; copy it/,
        },
      );
    });
  }

  it('whose dictionaries hold each other is refused in bounded time', async () => {
    const self = '}q\x01X\x01\x00\x00\x00ah\x01s'; // d = {}; d['a'] = d
    const tensors = '}X\x0a\x00\x00\x00state_dicth\x01s.';
    await assert.rejects(opened('cycle.pth', legacy(`${self}${tensors}]e.`)), { name: 'UserError' });
    let layers = '}q\x01';
    for (let i = 2; i < 60; i++)
      layers += `}q${String.fromCharCode(i)}X\x01\x00\x00\x00ah${String.fromCharCode(i - 1)}sX\x01\x00\x00\x00bh${String.fromCharCode(i - 1)}s`;
    const bomb = legacy(`${layers}}X\x0a\x00\x00\x00state_dicth\x3bs.]q\x00.`);
    await assert.rejects(opened('bomb.pth', bomb), {
      name: 'UserError',
      message: /nested too deep, or without an end/,
    });
  });

  it('damaged at any byte is read or refused, and never takes the program down', async () => {
    const stream = random(7, 'damage');
    let refusals = 0;
    for (const [name, whole] of files) {
      for (let round = 0; round < 12; round++) {
        const bytes = Buffer.from(whole);
        for (let i = 0; i <= round % 4; i++) bytes[stream.integer(bytes.length)] = stream.integer(256);
        const cut = round % 3 === 0 ? bytes.subarray(0, stream.integer(bytes.length)) : bytes;
        try {
          const { layers } = await opened(`damaged-${name}`, cut);
          for (const { kernel, bias } of layers) await Promise.all([kernel.read(), bias?.read()]);
        } catch (error) {
          assert.ok(error instanceof UserError, `${name}, round ${round}: ${(error as Error).stack}`);
          refusals += 1;
        }
      }
    }
    assert.ok(refusals > 50, `${refusals}`);
  });
});
