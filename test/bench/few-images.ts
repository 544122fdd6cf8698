/** What `learn.ts` learns: two classes of CIFAR-10, and twenty objects as the held-out emoji vendor draws them. */
import { createReadStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import sharp from 'sharp';
import { extract } from 'tar-stream';
import { formatOf } from '../../base/image/formats.js';
import { permutation, random } from '../../base/random.js';
import { EMOJI_CLASSES, HELD_OUT_VENDOR } from '../../train/data/emoji/emoji-classes.js';
import { type Drawing, renderDrawing, vendorSvgs } from '../../train/data/emoji/emoji-drawings.js';
import { boxesPx, composite, drawRandom, drawTraining, type Placement } from '../../train/data/emoji/emoji-image.js';

/** Encoded, by class. */
export type Images = Map<string, Buffer[]>;

export interface Task {
  name: string;
  title: string;
  classes: number;
  /** Images that pass a network while all its layers learn, the same ones over and over if they are few. */
  passed: number;
  /** So many images of each class, others in every round. */
  train(images: number, round: number): Promise<Images>;
  test: Images;
}

/** Of CIFAR-10; the other eight are known before. */
const NEW_CLASSES = ['automobile', 'truck'];
/** Of each of these, to test on. */
const TESTED = 500;
/** A fifth of the objects that `--data emoji` has. */
const OBJECTS = EMOJI_CLASSES.map((label, index) => ({ label, index })).filter(({ index }) => index % 5 === 0);
/** Of each of these, to test on. */
const TESTED_DRAWS = 25;
const IMAGE_PX = 32;

/** The images of an archive of CIFAR-10, `…/{train,test}/<class>/<name>.jpg`. */
export async function readCifar(archive: string): Promise<Record<string, Images>> {
  const splits: Record<string, Images> = { train: new Map(), test: new Map() };
  for await (const entry of createReadStream(archive).pipe(createGunzip()).pipe(extract())) {
    const [, split, label] = /(train|test)\/([^/]+)\/[^/]+\.jpg$/.exec(entry.header.name) ?? [];
    const images = splits[split];
    if (!images) entry.resume();
    else
      images
        .set(label, images.get(label) ?? [])
        .get(label)!
        .push(await buffer(entry));
  }
  return splits;
}

export const known = (images: Images): Images => new Map([...images].filter(([label]) => !NEW_CLASSES.includes(label)));

export function twoClasses({ train, test }: Record<string, Images>): Task {
  const take = (images: Images, order: (label: string, of: Buffer[]) => Buffer[]): Images =>
    new Map(NEW_CLASSES.map((label) => [label, order(label, images.get(label)!)]));
  return {
    name: 'two classes of CIFAR-10',
    title: 'Error on 1000 test images of two classes of CIFAR-10',
    classes: NEW_CLASSES.length,
    passed: 10_000,
    test: take(test, (_, of) => of.slice(0, TESTED)),
    train: async (images, round) =>
      take(train, (label, of) =>
        Array.from(permutation(of.length, random('learn', round, label)).slice(0, images), (i) => of[i]),
      ),
  };
}

/** Sizes, places, brightness and backgrounds are drawn as for the training images of `--data emoji`. */
export async function heldOutVendor(): Promise<Task> {
  const svgs = vendorSvgs(HELD_OUT_VENDOR);
  const drawn = async (count: number, place: (label: string, i: number) => Placement): Promise<Images> => {
    const images: Images = new Map();
    for (const { label, index } of OBJECTS) {
      const sizes = await renderDrawing(svgs[index], boxesPx(IMAGE_PX));
      const placements = Array.from({ length: count }, (_, i) => place(label, i));
      images.set(label, await Promise.all(placements.map((placement) => png(sizes, placement))));
    }
    return images;
  };
  return {
    name: 'objects of a new vendor',
    title: 'Error on 500 images of 20 objects, any background',
    classes: OBJECTS.length,
    passed: 30_000,
    test: await drawn(TESTED_DRAWS, (label, i) => drawRandom(random('test', label, i), IMAGE_PX)),
    train: (images, round) => drawn(images, (label, i) => drawTraining(random('learn', round, label, i), IMAGE_PX)),
  };
}

function png(sizes: Drawing[], placement: Placement): Promise<Buffer> {
  const pixels = composite(sizes[placement.size], placement, IMAGE_PX);
  return sharp(pixels, { raw: { width: IMAGE_PX, height: IMAGE_PX, channels: 3 } })
    .png()
    .toBuffer();
}

/** A folder of class folders. */
export async function writeImages(folder: string, images: Images): Promise<void> {
  for (const [label, all] of images) {
    await mkdir(join(folder, label), { recursive: true });
    await Promise.all(
      all.map((bytes, i) => writeFile(join(folder, label, `${i}.${formatOf(bytes)!.endings[0]}`), bytes)),
    );
  }
}
