/**
 * What commands print has the shape that the docs show. The commands run as the docs have them, on a few small images
 * under the names that are used there, so that only numbers differ.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import '../../base/tfjs/backend-cpu.js';
import sharp from 'sharp';
import { MODELS, withWeights } from '../export/five-models.js';
import { saveLayersModel } from '../export/saved-models.js';
import { post, running } from '../serve/running.js';
import { PAGES, readPage } from './pages.js';
import { matches, shape } from './shape.js';

/** What stands in the docs in place of what is small: in commands and in what they print. */
type Replaced = readonly (readonly [string, string])[];

/** Beginnings of documented commands, in an order in which each has what it needs. */
const COMMANDS: readonly (readonly [command: string, ...Replaced])[] = [
  ['prepare --data cifar10.tar.gz'],
  ['train --data packs/cifar10 --model cifar10-18pct --dry-run'],
  [
    'train --dry-run --data packs/photographs',
    ['packs/photographs', 'packs/cifar10'],
    ['--model alexnet', '--model cifar10-18pct'],
    ['alexnet:', 'cifar10-18pct:'],
    ['--batch 8192 --ranks 64', '--batch 8 --ranks 2'],
  ],
  ['train --data cifar10.tar.gz'],
  ['evaluate --run runs/cifar10'],
  ['report runs/emoji', ['runs/emoji', 'runs/cifar10'], ['val images', 'test images']],
  ['export --run runs/cifar10 --out cifar10-int8.onnx'],
  ['export --layers-model mobile/model.json'],
  [
    'export --run runs/demo',
    ['runs/demo', 'runs/cifar10 --checkpoint last --crops 1'],
    ['emoji.onnx', 'runs/emoji.onnx'],
    ['val images of emoji,', 'test images of cifar10.tar.gz,'],
  ],
  ['filters --model runs/emoji.onnx'],
  ['occlude --model runs/emoji.onnx'],
  ['index --model runs/emoji.onnx', ['--data emoji', '--data cifar10.tar.gz']],
  ['neighbours --model runs/emoji.onnx'],
];

/** In one process, which loads modules once; a line of its own before what each command prints. */
const RUN = `
import events from 'node:events';
events.defaultMaxListeners = 0; // every command adds some
const { runCommand } = await import(process.argv[1]);
for (const command of process.argv.slice(2)) {
  console.log('$');
  await runCommand(command.split(' '));
}
`;

/** A command of the docs and what it prints there. */
interface Shown {
  page: string;
  command: string;
  output: string;
}

const SHOWN: Shown[] = PAGES.flatMap(({ path, blocks }) =>
  blocks.flatMap(({ text }) =>
    text
      .replace(/ \\\n\s*/g, ' ')
      .split(/^\$ (?:npx alexnet )?/m)
      .slice(1)
      .map((part) => ({
        page: path,
        command: part.slice(0, part.indexOf('\n')),
        output: part.slice(part.indexOf('\n')),
      })),
  ),
);

function find([start, ...replaced]: (typeof COMMANDS)[number]): Shown {
  const shown = SHOWN.find(({ command }) => command.startsWith(start) && !command.endsWith('…'));
  assert.ok(shown, start);
  const small = (text: string) => replaced.reduce((all, [from, to]) => all.replaceAll(from, to), text);
  return { ...shown, command: small(shown.command), output: small(shown.output) };
}

/** More than five classes, for which there is a top-5 error. */
const COLOURS = { anvil: 'grey', guitar: 'red', kite: 'lime', lamp: 'gold', moon: 'white', rocket: 'blue' };

const folder = mkdtempSync(join(tmpdir(), 'alexnet-docs-'));
after(() => rmSync(folder, { recursive: true }));
const printed = new Map<string, string>();

before(async () => {
  // A folder under the archive's name: --data takes both.
  for (const split of ['train', 'test']) {
    for (const [label, background] of Object.entries(COLOURS)) {
      mkdirSync(join(folder, 'cifar10.tar.gz', split, label), { recursive: true });
      for (const i of [0, 1, 2, 3]) {
        const image = sharp({ create: { width: 32 + i, height: 32, channels: 3, background } }).png();
        await image.toFile(join(folder, 'cifar10.tar.gz', split, label, `${i}.png`));
      }
    }
  }
  mkdirSync(join(folder, 'runs'));
  cpSync(join(folder, 'cifar10.tar.gz/test/guitar/0.png'), join(folder, 'runs/guitar.png'));
  await saveLayersModel(join(folder, 'mobile'), withWeights(MODELS.mobile()));
  const commands = COMMANDS.map((each) => find(each).command);
  const log = openSync(join(folder, 'log'), 'w');
  const words = ['--input-type=module', '-e', RUN, new URL('../../cli/commands.js', import.meta.url).href];
  spawnSync(process.execPath, [...words, ...commands], { cwd: folder, stdio: ['ignore', log, log] });
  closeSync(log);
  const outputs = readFileSync(join(folder, 'log'), 'utf8').split(/^\$\n/m).slice(1);
  commands.forEach((command, i) => {
    printed.set(command, outputs[i]);
  });
});

for (const each of COMMANDS) {
  const { page, command, output } = find(each);
  test(`alexnet ${each[0].split(' ', 1)[0]} prints what ${page} shows: ${command}`, () => {
    assert.ok(matches(output, printed.get(command)!), `${shape(output)}\n— printed:\n${shape(printed.get(command)!)}`);
  });
}

/** Keys and types; of lists, those of the first. */
function kinds(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(kinds);
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, kinds(part)]));
}

test('POST /classify answers in the shape that docs/serve.md shows', async () => {
  const block = readPage('docs/serve.md').blocks.find(({ text }) => text.includes('"predictions"'))!;
  const { url } = await running({ file: join(folder, 'runs/emoji.onnx') });
  const answer = await (await post(url, readFileSync(join(folder, 'runs/guitar.png')), {}, '/classify?top=2')).text();
  assert.deepEqual(kinds(JSON.parse(answer)), kinds(JSON.parse(block.text)));
  assert.doesNotMatch(answer, /\n/);
  assert.equal(block.text.trimEnd(), JSON.stringify(JSON.parse(block.text), null, 2), 'as jq prints it');
});
