/**
 * Renders the drawings of the embedded data set from the vendors' SVG, cut to what is drawn: vendors leave different
 * margins around their drawings, and a network learns margins as readily as shapes.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../../base/errors.js';
import { sharp } from '../../../base/image/sharp.js';
import { EMOJI_CLASSES, HELD_OUT_VENDOR, TRAINING_VENDORS, type Vendor } from './emoji-classes.js';

/** The part of Iconify's JSON format that is used here. */
interface IconSet {
  icons: Record<string, { body: string; width?: number; height?: number; hidden?: boolean }>;
  aliases?: Record<string, { parent: string }>;
  width?: number;
  height?: number;
}

/** Straight (not premultiplied) RGBA interleaved, uint8 [height, width, 4]. */
export interface Drawing {
  width: number;
  height: number;
  rgba: Uint8Array;
}

/**
 * Every class as drawn by one vendor, as SVG documents in class order.
 * @throws {UserError} when the vendor's package is not installed or lacks a class
 */
export function vendorSvgs(vendor: Vendor): string[] {
  const set = loadIconSet(vendor);
  return EMOJI_CLASSES.map((label) => {
    const icon = set.icons[label] ?? set.icons[set.aliases?.[label]?.parent ?? ''];
    if (icon === undefined || icon.hidden === true) {
      throw new UserError(`emoji: @iconify-json/${vendor.name} has no drawing "${label}"; ${installLine()}`);
    }
    const box = `0 0 ${icon.width ?? set.width ?? 16} ${icon.height ?? set.height ?? 16}`;
    return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${box}">${icon.body}</svg>`;
  });
}

function loadIconSet(vendor: Vendor): IconSet {
  const require = createRequire(import.meta.url);
  const name = `@iconify-json/${vendor.name}/icons.json`;
  try {
    // Installed next to this package, or in the project that the command is run from.
    return require(require.resolve(name, { paths: [fileURLToPath(new URL('..', import.meta.url)), process.cwd()] }));
  } catch (cause) {
    throw new UserError(`emoji: package @iconify-json/${vendor.name} is not installed; ${installLine()}`, { cause });
  }
}

function installLine(): string {
  const packages = [...TRAINING_VENDORS, HELD_OUT_VENDOR].map(({ name }) => `@iconify-json/${name}`);
  return `run: npm install ${packages.join(' ')}`;
}

/**
 * One drawing at several sizes.
 * @param boxesPx  the longer side of what is drawn, pixels, for each result
 */
export async function renderDrawing(svg: string, boxesPx: number[]): Promise<Drawing[]> {
  // Drawn larger than needed, cut to the bounding box of its opaque part, then scaled down.
  const side = 4 * Math.max(...boxesPx);
  const large = sharp(Buffer.from(svg.replace('<svg ', `<svg width="${side}" height="${side}" `)));
  const { data, info } = await large.ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  const drawn = alphaBounds(data, info.width, info.height);
  const raw = { width: info.width, height: info.height, channels: 4 as const };
  return Promise.all(
    boxesPx.map(async (box) => {
      const scaled = sharp(data, { raw }).extract(drawn).resize(box, box, { fit: 'inside' }).raw();
      const { data: rgba, info: size } = await scaled.toBuffer({ resolveWithObject: true });
      return { width: size.width, height: size.height, rgba };
    }),
  );
}

/** The smallest box that holds every pixel of at least 3 % opacity. */
export function alphaBounds(rgba: Uint8Array, width: number, height: number) {
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (rgba[(y * width + x) * 4 + 3] < 8) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  return { left, top, width: right - left + 1, height: bottom - top + 1 };
}
