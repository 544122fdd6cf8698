/**
 * Which folders of a data set are splits, which are classes, and which nobody can tell: one rule for every form and
 * every command.
 */
import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { findLayout } from '../../../train/data/layout/find-layout.js';
import { splitName } from '../../../train/data/layout/split-names.js';
import { alexnetAs } from '../../real/command.js';
import { alexnet } from '../../real/shared-process.js';
import { type Files, plainPng, tarBytes, writeArchive, writeFiles } from './tiny-images.js';

let png: Buffer;
before(async () => {
  png = await plainPng(10, 120, 230);
});

const FORMS = {
  train: ['train', 'training', 'training_set', 'trainset', 'train_set', 'train-images', 'TrainData', 'train2017'],
  val: ['val', 'valid', 'validation', 'dev', 'validation_set', 'val_set', 'valImages', 'dev set'],
  test: ['test', 'testing', 'eval', 'Evaluation', 'test_set', 'testset', 'test_images', 'Testing Data', 'test-1'],
};

/** Any form of a split's name, in any case, with words of its own or without. */
const splitForm = (split: keyof typeof FORMS, words: fc.Arbitrary<string>) =>
  fc
    .tuple(fc.constantFrom(...FORMS[split]), fc.array(fc.boolean(), { minLength: 24, maxLength: 24 }), words)
    .map(([form, upper, word]) => {
      const anyCase = [...form].map((letter, i) => (upper[i] ? letter.toUpperCase() : letter.toLowerCase())).join('');
      return word.replace('*', anyCase);
    });
const alone = fc.constant('*');
const affixed = fc.constantFrom(
  'xyz_*',
  '*_xyz',
  'xyz-*',
  'xyz.*',
  'my set *',
  '*-v2',
  'CIFAR10_*',
  '2024-05 *',
  '*_320px',
);

test('recognises a split in every form of its name, alone and with words before or after it', () => {
  for (const split of ['train', 'val', 'test'] as const) {
    fc.assert(
      fc.property(splitForm(split, fc.oneof(alone, affixed)), (name) => splitName(name)?.split === split),
      { numRuns: 300 },
    );
  }
  for (const name of ['xyzTrain', 'XYZTrainSet', 'TrainXyz', 'train_val', 'trainval', 'Train-Validation'])
    assert.equal(splitName(name)?.split, 'train', name);
  for (const name of [
    'trains',
    'constrain',
    'trainer',
    'contest',
    'tested',
    'Valencia',
    'devil',
    'train_test',
    'n02917067_bullet_train',
  ])
    assert.equal(splitName(name), undefined, name);
});

const imagesOf = (folders: string[], classes: string[]) =>
  folders.flatMap((folder) => classes.flatMap((name) => [1, 2].map((n) => `${folder}/${name}/${n}.png`)));

test('never takes folders of classes for classes if two or more are named as splits', () => {
  const oneForm = fc.constantFrom(alone, fc.constant('xyz_*')).chain((words) =>
    fc.tuple(
      splitForm('train', words),
      fc.constantFrom('val', 'test').chain((held) => splitForm(held as 'val', words)),
    ),
  );
  const wrappers = fc.array(fc.constantFrom('archive', 'dataset', 'pets 2'), { maxLength: 3 });
  fc.assert(
    fc.property(oneForm, wrappers, ([train, held], wrapped) => {
      const folders = [train, held].map((name) => [...wrapped, name].join('/'));
      const { placeOf } = findLayout('SOURCE', imagesOf(folders, ['cat', 'dog']));
      const places = folders.map((folder) => placeOf(`${folder}/dog/1.png`));
      assert.deepEqual(places[0], { split: 'train', className: 'dog' });
      assert.deepEqual(places[1], { split: splitName(held)!.split, className: 'dog' });
      assert.equal(placeOf(`${folders[0]}/1.png`), undefined);
      // The same names with images directly in them are no classes either, nor with one class next to them.
      const bare = folders.map((folder) => `${folder}/1.png`);
      assert.throws(() => findLayout('SOURCE', bare), /lies in no class folder; expected .*\/<class>\/<image>/);
      const beside = [...wrapped, 'cat/1.png'].join('/');
      assert.throws(() => findLayout('SOURCE', [...bare, beside]), /named as splits, but without class folders/);
    }),
    { numRuns: 300 },
  );
});

test('takes a folder named as a split for a class if images lie in it and other classes next to it', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('train', 'Train', 'bullet_train', 'test', 'valid', 'dev board', 'test tube'),
      fc.uniqueArray(fc.constantFrom('bus', 'car', 'tram', 'invalid'), { minLength: 1 }),
      fc.constantFrom('', 'vehicles/', 'archive/dataset/'),
      (vehicle, others, wrapper) => {
        const paths = [vehicle, ...others].flatMap((name) => [`${wrapper}${name}/1.png`, `${wrapper}${name}/2.png`]);
        const { placeOf } = findLayout('SOURCE', paths);
        for (const name of [vehicle, ...others])
          assert.deepEqual(placeOf(`${wrapper}${name}/1.png`), { className: name });
      },
    ),
  );
  // The class of COCO and CIFAR-100 inside splits.
  const { placeOf } = findLayout('SOURCE', imagesOf(['Train', 'Test'], ['bus', 'train', 'tram']));
  assert.deepEqual(placeOf('Test/train/1.png'), { split: 'test', className: 'train' });
});

const CASES: { of: string; paths: string[]; says: RegExp }[] = [
  {
    of: 'two folders of one split',
    paths: imagesOf(['train', 'Training', 'test'], ['a', 'b']),
    says: /(train\/ and Training\/|Training\/ and train\/) name the same split, train; expected one folder per split/,
  },
  {
    of: 'a split next to a class',
    paths: [...imagesOf(['train'], ['cat', 'dog']), 'cat/1.png'],
    says: /found train\/, .* with folders inside \(cat\/, dog\/\), next to cat\/; .* not both/,
  },
  {
    of: 'splits next to one of their classes',
    paths: [...imagesOf(['train', 'test'], ['cat', 'dog']), 'dog/1.png'],
    says: /next to dog\//,
  },
  {
    of: 'one split with words of its own next to other images',
    paths: [...imagesOf(['xyz_train'], ['a', 'b']), 'pred/1.png'],
    says: /found xyz_train\/, .*next to pred\//,
  },
  {
    of: 'splits deep next to other images, one of them only',
    paths: [...imagesOf(['archive/set/train'], ['a', 'b']), 'docs/1.png'],
    says: /found archive\/set\/train\/, .*next to docs\//,
  },
  {
    of: 'images without classes in train/train',
    paths: ['train/train/1.png', 'test/test/1.png'],
    says: /train\/train\/; train\/train\/1\.png lies in no class folder; expected train\/train\/<class>\/<image>/,
  },
  {
    of: 'splits inside a split',
    paths: [...imagesOf(['xyz_train'], ['train', 'val']), ...imagesOf(['xyz_test'], ['train', 'val'])],
    says: /named as splits, but without class folders: xyz_train\/train\/ and xyz_train\/val\//,
  },
];

for (const { of, paths, says } of CASES) {
  test(`refuses ${of}, by name`, () => {
    for (const some of [paths, paths.map((path) => `set/${path}`)])
      assert.throws(
        () => findLayout('SOURCE', some),
        (error: Error) => {
          assert.equal(error.name, 'UserError');
          assert.match(error.message.replaceAll('set/', '').replaceAll('archive/train', 'archive/set/train'), says);
          return true;
        },
      );
  });
}

test('looks through folders that hold nothing but one other, outside and inside the splits, and says where it found what', () => {
  const { placeOf, notes } = findLayout('SOURCE', [
    ...imagesOf(['archive/data set/Train/train'], ['a', 'b']),
    ...imagesOf(['archive/data set/Test'], ['a', 'b']),
    'archive/readme.png',
  ]);
  assert.deepEqual(placeOf('archive/data set/Train/train/b/1.png'), { split: 'train', className: 'b' });
  assert.deepEqual(placeOf('archive/data set/Test/a/1.png'), { split: 'test', className: 'a' });
  assert.equal(placeOf('archive/readme.png'), undefined);
  assert.deepEqual(notes, [
    'splits by the names of folders: archive/data set/Train/train/ as train, archive/data set/Test/ as test',
  ]);
  const flat = findLayout('SOURCE', imagesOf(['archive/set/pets'], ['a', 'b']));
  assert.deepEqual(
    [flat.placeOf('archive/set/pets/a/1.png'), flat.notes],
    [{ className: 'a' }, ['the classes are the folders in archive/set/pets/']],
  );
  assert.deepEqual(findLayout('SOURCE', imagesOf(['pets/train', 'pets/val'], ['a', 'b'])).notes, []);
});

interface Command {
  of: string;
  /** Of images, and of folders that end in `/`. */
  paths: string[];
  as?: '.tar' | '.tar.gz';
  classes?: number;
  pictures?: Record<string, number>;
  stderr?: RegExp;
}

const COMMANDS: Command[] = [
  {
    of: 'splits in other words',
    paths: imagesOf(['Train', 'TESTING'], ['a', 'b']),
    classes: 2,
    pictures: { train: 4, val: 4 },
    stderr: /warning: splits by the names of folders: TESTING\/ as test, Train\/ as train\n/,
  },
  {
    of: 'a tar of splits with words of their own, wrapped',
    paths: [
      ...imagesOf(['archive/set/xyz_train'], ['a', 'b', 'c']),
      ...imagesOf(['archive/set/xyz_dev'], ['c', 'b', 'a']),
    ],
    as: '.tar',
    classes: 3,
    pictures: { train: 6, val: 6 },
    stderr: /archive\/set\/xyz_train\/ as train, archive\/set\/xyz_dev\/ as val\n/,
  },
  {
    of: 'a .tar.gz of splits in folders of the same name',
    paths: imagesOf(['seg_train/seg_train', 'seg_test/seg_test'], ['a', 'b']),
    as: '.tar.gz',
    classes: 2,
    pictures: { train: 4, val: 4 },
    stderr: /seg_train\/seg_train\/ as train/,
  },
  {
    of: 'the vehicle next to others',
    paths: imagesOf(['.'], ['train', 'bus', 'car']),
    classes: 3,
    pictures: { train: 6, val: 6 },
    stderr: /read as classes, not as splits, since images lie directly in them: train\/\n/,
  },
  {
    of: 'two folders of one split',
    paths: imagesOf(['val', 'dev', 'train'], ['a', 'b']),
    stderr: /dev\/ and val\/ name the same split, val;/,
  },
  {
    of: 'a split next to a class',
    paths: [...imagesOf(['train'], ['a', 'b']), 'cat/1.png'],
    as: '.tar',
    stderr: /found train\/, .* next to cat\//,
  },
  {
    of: 'splits without classes',
    paths: ['Train/1.png', 'Test/1.png', 'cat/1.png'],
    stderr: /without class folders: (Test\/ and Train|Train\/ and Test)\/;/,
  },
];

const junk = ['@eaDir/1.png', 'lost+found/', '__MACOSX/a/1.png', '.ipynb_checkpoints/1.png', '.git/1.png'];
for (const as of [undefined, '.tar'] as const) {
  COMMANDS.push({
    of: `classes, and not on folders of other programs${as ? ' in an archive' : ''}`,
    paths: [...imagesOf(['.'], ['a', 'b']), ...junk, 'a/@eaDir/x/1.png'],
    as,
    classes: 2,
    pictures: { train: 4, val: 4 },
    stderr:
      /skipped folders: (?=.*2 × @eaDir\/ \(no data\))(?=.*lost\+found\/)(?=.*__MACOSX\/)(?=.*\.ipynb_checkpoints\/)(?=.*\.git\/)/,
  });
}

async function sourceOf(t: TestContext, { paths, as }: Command): Promise<string> {
  const files: Files = Object.fromEntries(paths.map((path) => [path, path.endsWith('/') ? null : png]));
  return as ? writeArchive(t, `pictures${as}`, await tarBytes(files)) : writeFiles(t, files);
}

for (const command of COMMANDS) {
  const { of, classes, pictures: images, stderr: says } = command;
  test(`${images ? 'trains on' : 'will not train on'} ${of}`, async (t) => {
    const data = await sourceOf(t, command);
    const words = ['train', '--data', data, '--model', 'cifar10-quick', '--batch', '2', '--dry-run', '--json'];
    const { code, stdout, stderr } = await alexnet(...words);
    assert.equal(code, images ? 0 : 1, stderr);
    assert.match(stderr, says!);
    if (!images) return;
    const found = JSON.parse(stdout);
    assert.deepEqual([found.classes, found.pictures], [classes, images]);
  });
}

test('skips folders that may not be read, at the top and inside, and says which', async (t) => {
  const images = imagesOf(['train', 'val'], ['a', 'b']);
  const data = await sourceOf(t, {
    of: '',
    paths: [...images, 'private/1.png', 'train/secret/1.png', 'val/b/own/1.png'],
  });
  const folders = ['private', 'train/secret', 'val/b/own'].map((folder) => join(data, folder));
  const allow = (mode: number) => Promise.all(folders.map((folder) => chmod(folder, mode)));
  // Permissions do not hold for root: as somebody else.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const train = () =>
    alexnetAs(user, 'train', '--data', data, '--model', 'cifar10-quick', '--batch', '2', '--dry-run', '--json');
  await chmod(data, 0o755);
  try {
    await allow(0);
    const { code, stdout, stderr } = await train();
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout).pictures, { train: 4, val: 4 });
    for (const name of ['private', 'secret', 'own'])
      assert.match(stderr, new RegExp(`warning: skipped folders: .*${name}/ \\(cannot be read: EACCES\\)`));
    await chmod(join(data, 'val', 'b'), 0);
    const without = /warning: skipped folders: .*b\/ \(cannot be read: EACCES\)\n(.*\n)*warning: no val image of b,/;
    assert.match((await train()).stderr, without);
    await chmod(join(data, 'val', 'b'), 0o755);
    await chmod(data, 0);
    const refused = await train();
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /alexnet train: .*: cannot be read: EACCES\n$/);
  } finally {
    await chmod(data, 0o755);
    await allow(0o755);
  }
});

test('refuses folders that hold the same folders as classes, whatever their names, and says what to rename them to', () => {
  for (const [a, b] of [
    ['Xtrain', 'Xtest'],
    ['tr', 'te'],
    ['trn', 'tst'],
    ['mytrain', 'mytest'],
    ['fold1', 'fold2'],
  ]) {
    for (const top of ['', 'ds/']) {
      const folders = [top + a, top + b];
      assert.throws(() => findLayout('ds', imagesOf(folders, ['green', 'red'])), {
        message:
          `ds: ${top}${a}/ and ${top}${b}/ hold the same folders (green/, red/) and no images, as splits do; rename them to train/, val/ or ` +
          `test/, e.g. ${top}${a}/ to train/ and ${top}${b}/ to val/, or, if they are classes, put their images directly into them`,
      });
    }
  }
  const { placeOf } = findLayout('ds', imagesOf(['cat', 'dog'], ['images'])); // one folder says nothing
  assert.deepEqual(placeOf('cat/images/1.png'), { className: 'cat' });
});
