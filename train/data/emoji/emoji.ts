/**
 * The embedded data set `emoji`: drawings composited at every use, so that 600 drawings give any number of images.
 *
 * train        six vendors' drawings: size 29, 32 or 35 px in a 32 px image (scaled to others), shifted by up to 2 px, brightness
 *              0.85 to 1.15, background white for half and a random colour for half
 * train-centred  the same drawings, filling the image, on white: to look at rather than to train on
 * val          the same drawings, one fixed draw each, random background: chooses the checkpoint without a look at the test vendor
 * test-random  the held-out vendor's: fixed draws of size, shift and background colour; also named `test`
 * test-centred the held-out vendor's, filling the image, on white
 */
import { UserError } from '../../../base/errors.js';
import { sharp } from '../../../base/image/sharp.js';
import { type Random, random } from '../../../base/random.js';
import type { Dataset, OpenOptions, Split } from '../dataset.js';
import { EMOJI_CLASSES, HELD_OUT_VENDOR, TRAINING_VENDORS, type Vendor } from './emoji-classes.js';
import { type Drawing, renderDrawing, vendorSvgs } from './emoji-drawings.js';
import { boxesPx, CENTRED_ON_WHITE, composite, drawRandom, drawTraining, type Placement } from './emoji-image.js';

/** An epoch passes every drawing this often, in other draws: 600 images would make epochs of a second. */
const TRAIN_DRAWS = 10;
/** Several fixed draws of each of the hundred held-out drawings make the error less a matter of luck. */
const TEST_DRAWS = 5;

const AT_ONCE = 10; // renderings in flight: enough to keep sharp's threads busy
/** Names the fixed draws; figures made with another number are not comparable. */
const FIXED_SEED = 'emoji-1';

/** Of the vendors to train on, and of the one held out. */
const TRAINING_SPLITS = ['train', 'train-centred', 'val'];
const TEST_SPLITS = ['test', 'test-random', 'test-centred'];

interface Drawn {
  name: string;
  label: number;
  sizes: Drawing[];
}

/**
 * @throws {UserError} when a vendor's package is not installed
 */
export async function openEmoji({ imagePx, splits: wanted, onProgress }: OpenOptions): Promise<Dataset> {
  const wants = (...names: string[]) => wanted === undefined || names.some((name) => wanted.includes(name));
  const groups = {
    train: wants(...TRAINING_SPLITS) ? TRAINING_VENDORS : [],
    test: wants(...TEST_SPLITS) ? [HELD_OUT_VENDOR] : [],
  };
  const total = (groups.train.length + groups.test.length) * EMOJI_CLASSES.length;
  let done = 0;
  const progress = () => onProgress?.(++done, total);
  const train = await renderVendors(groups.train, imagePx, progress);
  const test = await renderVendors(groups.test, imagePx, progress);

  const splits: Record<string, Split> = {};
  if (train.length > 0) {
    splits.train = drawnSplit(train, TRAIN_DRAWS, imagePx, (_, stream) => drawTraining(stream, imagePx));
    splits['train-centred'] = drawnSplit(train, 1, imagePx, () => CENTRED_ON_WHITE);
    splits.val = drawnSplit(train, 1, imagePx, (index) => drawRandom(random(FIXED_SEED, 'val', index), imagePx));
  }
  if (test.length > 0) {
    splits.test = drawnSplit(test, TEST_DRAWS, imagePx, (index) =>
      drawRandom(random(FIXED_SEED, 'test', index), imagePx),
    );
    splits['test-random'] = splits.test;
    splits['test-centred'] = drawnSplit(test, 1, imagePx, () => CENTRED_ON_WHITE);
  }
  const splitNames = [...TRAINING_SPLITS, ...TEST_SPLITS];
  return { source: 'emoji', imagePx, labels: [...EMOJI_CLASSES], splits, splitNames, skipped: [], notes: [] };
}

/**
 * A drawing that no training image comes from, on white, as PNG: something to send to a server.
 * @param label   one of the hundred classes
 * @param sizePx  side of the image
 * @throws {UserError} when there is no such class or the package is not installed
 */
export async function heldOutPng(label: string, sizePx = 256): Promise<Buffer> {
  const index = EMOJI_CLASSES.indexOf(label);
  if (index < 0) throw new UserError(`emoji: no class "${label}"; the classes are ${EMOJI_CLASSES.join(', ')}`);
  const [drawing] = await renderDrawing(vendorSvgs(HELD_OUT_VENDOR)[index], [sizePx]);
  const pixels = composite(drawing, CENTRED_ON_WHITE, sizePx);
  return sharp(pixels, { raw: { width: sizePx, height: sizePx, channels: 3 } })
    .png()
    .toBuffer();
}

async function renderVendors(vendors: readonly Vendor[], imagePx: number, progress: () => void): Promise<Drawn[]> {
  const boxes = boxesPx(imagePx);
  const drawn: Drawn[] = [];
  for (const vendor of vendors) {
    const svgs = vendorSvgs(vendor);
    for (let first = 0; first < svgs.length; first += AT_ONCE) {
      const rendered = svgs.slice(first, first + AT_ONCE).map((svg) => renderDrawing(svg, boxes));
      for (const [offset, sizes] of (await Promise.all(rendered)).entries()) {
        const label = first + offset;
        drawn.push({ name: `${vendor.name}/${EMOJI_CLASSES[label]}`, label, sizes });
        progress();
      }
    }
  }
  return drawn;
}

/** Position i shows drawing i mod their number; `place` says how. */
function drawnSplit(
  drawings: Drawn[],
  draws: number,
  imagePx: number,
  place: (index: number, stream: Random) => Placement,
): Split {
  const at = (index: number) => drawings[index % drawings.length];
  return {
    length: drawings.length * draws,
    labels: Uint16Array.from({ length: drawings.length * draws }, (_, index) => at(index).label),
    name: (index) => at(index).name + (draws > 1 ? `#${Math.floor(index / drawings.length)}` : ''),
    pixels: (index, stream) => {
      const placement = place(index, stream);
      return composite(at(index).sizes[placement.size], placement, imagePx);
    },
  };
}
