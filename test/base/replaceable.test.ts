/** What commands do if somebody else's files have the names of theirs. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { alexnet } from '../real/shared-process.js';
import { type Files, plainPng } from '../train/data/tiny-images.js';

describe('a place that holds something of somebody', () => {
  let folder: string;
  let data: string;
  let run: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'alexnet-replaceable-'));
    const [red, blue] = [await plainPng(255, 0, 0), await plainPng(0, 0, 255)];
    const paths = ['train/cat/1.png', 'train/dog/1.png', 'val/cat/1.png', 'val/dog/1.png'];
    data = await written('data', Object.fromEntries(paths.map((path) => [path, path.includes('cat') ? red : blue])));
    run = join(folder, 'run');
    await succeeds('train', '--data', data, '--model', 'cifar10-quick', '--epochs', '1', '--out', run);
  });
  after(() => rm(folder, { recursive: true }));

  async function written(name: string, files: Files): Promise<string> {
    for (const [path, content] of Object.entries(files)) {
      const file = join(folder, name, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content!);
    }
    return join(folder, name);
  }

  async function succeeds(...words: string[]): Promise<void> {
    const { code, stderr } = await alexnet(...words);
    assert.equal(code, 0, stderr);
  }

  /** Contents by path. */
  async function contents(path: string): Promise<Record<string, string>> {
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return Object.fromEntries(await Promise.all(files.map(async (file) => [file, await readFile(file, 'base64')])));
  }

  /** The command fails, names every one of the files, and changes nothing in `out`. */
  async function refuses(out: string, named: string[], ...words: string[]): Promise<void> {
    const before = await contents(out);
    const { code, stderr } = await alexnet(...words);
    assert.equal(code, 1, stderr);
    const [message] = stderr.split('\n').filter((line) => line.startsWith(`alexnet ${words[0]}: `));
    for (const name of named) assert.ok(message?.includes(join(out, name)), `${name} in: ${stderr}`);
    assert.deepEqual(await contents(out), before);
  }

  it('is left as it was by train, which names all that is in the way of a run', async () => {
    const own = {
      'best/thesis.txt': 'x',
      'labels.json': '[1]',
      'metrics.csv': 'a,b',
      'events/log.txt': 'y',
      lock: 'z',
    };
    const out = await written('project', { ...own, 'notes.txt': 'mine' });
    const words = ['train', '--data', data, '--model', 'cifar10-quick', '--out', out];
    await refuses(out, Object.keys(own), ...words, '--force');
    const settings = await written('settings', { 'config.json': '{"port":80}' });
    await refuses(settings, ['config.json'], ...words.with(-1, settings));
    const linked = join(folder, 'linked');
    await mkdir(linked);
    await symlink(join(settings, 'config.json'), join(linked, 'mean.bin'));
    await refuses(linked, ['mean.bin'], ...words.with(-1, linked));
  });

  it('is kept inside a run that is replaced, imported over or resumed', async () => {
    const out = join(folder, 'mine');
    await cp(run, out, { recursive: true });
    await written('mine', { 'last/thesis.txt': 'x', 'best/weights-before.bin': 'y' });
    const words = ['train', '--data', data, '--model', 'cifar10-quick', '--out', out, '--force'];
    await refuses(out, ['last/thesis.txt', 'best/weights-before.bin'], ...words);
    await succeeds('train', '--resume', '--force', '--epochs', '2', '--out', out);
    assert.equal(await readFile(join(out, 'last/thesis.txt'), 'utf8'), 'x');
    assert.equal(await readFile(join(out, 'best/weights-before.bin'), 'utf8'), 'y');
    const csv = await readFile(join(out, 'metrics.csv'), 'utf8');
    await writeFile(join(out, 'metrics.csv'), csv.replace('epoch,', 'Epoch,'));
    await refuses(out, ['metrics.csv'], 'train', '--resume', '--force', '--epochs', '3', '--out', out);
    await refuses(out, ['last/thesis.txt'], 'import', 'any.onnx', '--model', 'cifar10-quick', '--out', out, '--force');
  });

  it('is not overwritten as a file', async () => {
    const cases = [
      [['export', '--run', 'any', '--out'], 'thesis.txt'],
      [['export', '--layers-model', 'any', '--external-data', '--out'], 'thesis.onnx'],
      [['evaluate', '--run', 'any', '--predictions'], 'thesis.jsonl'],
      [['report', 'any', '--out'], 'thesis.html'],
      [['find-lr', '--data', 'any', '--model', 'alexnet', '--plot'], 'thesis.svg'],
      [['filters', '--model', 'any', '--out'], 'photograph.png'],
      [['occlude', 'any.png', '--model', 'any', '--out'], 'photograph.png'],
      [['neighbours', 'any.png', '--model', 'any', '--index', 'any', '--out'], 'photograph.png'],
      [['index', '--model', 'any', '--data', 'any', '--out'], 'thesis.index'],
    ] as const;
    const refused = cases.map(async ([words, name], i) => {
      const out = await written(`file-${i}`, { [name]: await plainPng(1, 2, 3) });
      await refuses(out, [name], ...words, join(out, name));
    });
    await Promise.all(refused);
  });

  it('is not overwritten through a link, nor is the link', async () => {
    const out = await written('links', { 'thesis.txt': 'x' });
    await symlink('thesis.txt', join(out, 'model.onnx'));
    await refuses(out, ['model.onnx'], 'export', '--run', run, '--out', join(out, 'model.onnx'));
    assert.equal(await readFile(join(out, 'model.onnx'), 'utf8'), 'x');
  });

  it('is not overwritten as the data of a model file, nor as a file of a model repository', async () => {
    const out = await written('data-file', { 'm.onnx.data': 'x' });
    const words = ['export', '--run', run, '--external-data', '--out', join(out, 'm.onnx')];
    await refuses(out, ['m.onnx.data'], ...words);
    const config = { 'cups/config.pbtxt': 'name: "cups"\nbackend: "pytorch"\n', 'cups/labels.txt': 'red\n' };
    const repository = await written('repository', config);
    const named = Object.keys(config);
    await refuses(repository, named, 'export', '--run', run, '--triton', repository, '--name', 'cups');
  });

  it('is kept by prepare under the names of shards, and where a link leads to', async () => {
    const target = await written('elsewhere', { 'thesis.bin': 'x' });
    const shards = await written('shards', { 'pictures-00000.bin': 'mine', 'pictures-00000.bin.part': 'mine' });
    await symlink(join(target, 'thesis.bin'), join(shards, 'pictures-00001.bin'));
    await symlink(join(target, 'thesis.bin'), join(shards, 'pictures-00000.bin.alexnet-tmp'));
    const words = ['prepare', '--data', data, '--size', '32', '--out'];
    await refuses(shards, ['pictures-00000.bin', 'pictures-00001.bin'], ...words, shards);
    for (const name of ['pictures-00000.bin', 'pictures-00001.bin']) await rm(join(shards, name));
    await succeeds(...words, shards);
    await written('shards', { 'pictures-00007.bin': 'mine' });
    await refuses(shards, ['pictures-00007.bin'], ...words, shards, '--force');
    await rm(join(shards, 'pictures-00007.bin'));
    await succeeds(...words, shards, '--force');
    assert.equal(await readFile(join(shards, 'pictures-00000.bin.part'), 'utf8'), 'mine');
    assert.equal(await readFile(join(target, 'thesis.bin'), 'utf8'), 'x');
  });

  it('is not taken for a prepared set, an experiment or a demo', async () => {
    const pack = await written('pack', { 'train.bin': 'x', 'mean.bin': 'y', 'pictures-00007.json': '{}' });
    await refuses(pack, ['train.bin', 'mean.bin', 'pictures-00007.json'], 'prepare', '--data', data, '--out', pack);
    const own = { 'plan.json': '{"goals":[]}', 'table.md': 'x', 'with/labels.json': '[]' };
    const experiment = await written('experiment', own);
    await refuses(experiment, ['plan.json', 'table.md'], 'reproduce', 'lrn', '--data', data, '--out', experiment);
    await rm(join(experiment, 'plan.json'));
    await rm(join(experiment, 'table.md'));
    await refuses(experiment, ['with/labels.json'], 'reproduce', 'lrn', '--data', data, '--out', experiment);
    await refuses(run, [''], 'demo', '--out', run, '--exit');
    const demo = await written('demo', { 'guitar.png': 'x' });
    await refuses(demo, ['guitar.png'], 'demo', '--out', demo, '--exit');
  });

  it('is named if a folder was to be made, with what to do', async () => {
    const out = await written('in-the-way', { 'm.onnx': '' });
    const file = join(out, 'm.onnx');
    await succeeds('export', '--run', run, '--out', file);
    const isFile = /m\.onnx: is a file; expected a folder, or nothing there yet: name another --out\n$/;
    const below = /lies below a file, where no folder can be made; name another --out\n$/;
    const train = ['train', '--data', data, '--model', 'cifar10-quick', '--epochs', '1', '--out'];
    const prepare = ['prepare', '--data', data, '--out'];
    const from = ['import', file, '--model', 'cifar10-quick', '--out'];
    const cases: [string[], RegExp][] = [
      [[...train, ''], /alexnet train: --out "": expected the path of a folder; name one\n$/],
      [[...from, ''], /alexnet import: --out "": expected the path of a folder; name one\n$/],
      ...[train, prepare, from].map((words): [string[], RegExp] => [[...words, file], isFile]),
      ...[train, prepare, from].map((words): [string[], RegExp] => [[...words, join(file, 'x')], below]),
      [['export', '--run', run, '--out', join(file, 'x.onnx')], isFile],
      [['export', '--run', run, '--triton', file], below],
      // Linux: the folder is there, and cannot hold another.
      ...(process.platform === 'linux' ? [train, prepare, from] : []).map((words): [string[], RegExp] => {
        return [[...words, '/proc/x/y'], /\/proc\/x\/y: cannot create or write a folder there; name another --out\n$/];
      }),
    ];
    for (const [words, message] of cases) {
      const { code, stderr } = await alexnet(...words);
      assert.equal(code, 1, words.join(' '));
      assert.match(stderr, message, words.join(' '));
    }
  });

  it('gives way if a command wrote it, or if it is empty', async () => {
    const out = await written('again', { 'm.onnx': '', 'p.jsonl': '' });
    for (const words of [
      ['export', '--run', run, '--external-data', '--out', join(out, 'm.onnx')],
      ['evaluate', '--run', run, '--split', 'val', '--predictions', join(out, 'p.jsonl')],
    ]) {
      await succeeds(...words);
      await succeeds(...words);
    }
    await succeeds('train', '--data', data, '--model', 'cifar10-quick', '--epochs', '1', '--force', '--out', run);
    assert.deepEqual((await readdir(out)).sort(), ['m.onnx', 'm.onnx.data', 'p.jsonl']);
  });
});
