/**
 * A drawing of images and words, written as SVG, as PNG (images only: fonts differ by machine), or within an HTML page.
 */
import { extname } from 'node:path';
import { writeFileAtomically } from '../../../base/atomic-file.js';
import { UsageError } from '../../../base/errors.js';
import { sharp } from '../../../base/image/sharp.js';
import { escapeMarkup } from '../../../base/markup.js';
import { checkReplaceable, isMarked, MARK, MARKUP_MARK } from '../../../base/replaceable.js';

/** RGB or RGBA, row by row. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
  channels: 3 | 4;
}

/** Pixels of the drawing from its top left. */
export interface Placed {
  x: number;
  y: number;
}

export interface Scene {
  width: number;
  height: number;
  /** Enlarged without smoothing if they are smaller than their place; encoded images as they are, smoothed. */
  images: (Placed & { width: number; height: number; image: Pixels | Buffer; title?: string })[];
  texts: (Placed & { text: string; bold?: boolean })[];
}

const FONT_PX = 13;

const STYLE = `
body{font-family:sans-serif;margin:1.5rem}
svg{max-width:100%;height:auto}
h1{overflow-wrap:anywhere}
section{overflow-x:auto}
td,th{text-align:left;white-space:nowrap;padding:.1rem .8rem .1rem 0}
td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:3rem}
@media screen and (prefers-color-scheme:dark){
body{background:#0d1117;color:#f0f6fc}
svg>rect{fill:none}
svg>text{fill:currentColor}
}
`;

export async function sceneToPng({ width, height, images }: Scene): Promise<Buffer> {
  const layers = await Promise.all(
    images.map(async ({ image, x, y, width, height }) => {
      const isEncoded = Buffer.isBuffer(image);
      const kernel = isEncoded ? 'lanczos3' : 'nearest';
      const resized = open(image).resize(width, height, { fit: isEncoded ? 'cover' : 'fill', kernel });
      return { input: await resized.png().toBuffer(), left: x, top: y };
    }),
  );
  return sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite(layers)
    .withExif({ IFD0: { Software: MARK } })
    .png()
    .toBuffer();
}

export async function sceneToSvg({ width, height, images, texts }: Scene): Promise<string> {
  const drawn = await Promise.all(
    images.map(async ({ image, x, y, width, height, title }) => {
      const isEncoded = Buffer.isBuffer(image);
      const bytes = await open(image).png().toBuffer();
      const style = isEncoded ? '' : ' style="image-rendering:pixelated"';
      const place = `x="${x}" y="${y}" width="${width}" height="${height}" preserveAspectRatio="${isEncoded ? 'xMidYMid slice' : 'none'}"`;
      const inner = title === undefined ? '' : `<title>${escapeMarkup(title)}</title>`;
      return `<image ${place}${style} href="data:image/png;base64,${bytes.toString('base64')}">${inner}</image>`;
    }),
  );
  const written = texts.map(({ x, y, text, bold }) => {
    const weight = bold ? ' font-weight="bold"' : '';
    return `<text x="${x}" y="${y}"${weight}>${escapeMarkup(text)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="${FONT_PX}">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...drawn,
    ...written,
    '</svg>\n',
  ].join('\n');
}

/** A page of its own, without anything from elsewhere. @param rows  a table under the drawing, its heading first */
export async function sceneToHtml(scene: Scene, title: string, rows: readonly string[][]): Promise<string> {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escapeMarkup(cell)}</${tag}>`).join('');
  const table = rows.map((row, i) => `<tr>${cells(row, i === 0 ? 'th' : 'td')}</tr>`).join('\n');
  return `<!doctype html>
${MARKUP_MARK}<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escapeMarkup(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeMarkup(title)}</h1>
${await sceneToSvg(scene)}
<section tabindex="0" aria-label="Numbers">
<table>
${table}
</table>
</section>
</body>
</html>
`;
}

const FORMATS = ['.png', '.svg', '.html'];

/**
 * @throws {UsageError} if the name ends otherwise than a drawing's
 * @throws {UserError} if there is a file that is not a drawing of ours
 */
export async function requireDrawingPlace(file: string): Promise<void> {
  if (!FORMATS.includes(extname(file).toLowerCase()))
    throw new UsageError(`--out ${file}: expected a name that ends with ${FORMATS.join(', ')}`);
  await checkReplaceable(file, 'a drawing of alexnet', isMarked);
}

/** In the format that the name's end says. */
export async function writeScene(file: string, scene: Scene, title: string, rows: readonly string[][]): Promise<void> {
  await requireDrawingPlace(file);
  const write: Record<string, () => Promise<string | Buffer>> = {
    '.png': () => sceneToPng(scene),
    '.svg': async () => MARKUP_MARK + (await sceneToSvg(scene)),
    '.html': () => sceneToHtml(scene, title, rows),
  };
  await writeFileAtomically(file, await write[extname(file).toLowerCase()]());
}

function open(image: Pixels | Buffer) {
  if (Buffer.isBuffer(image)) return sharp(image);
  const { data, ...raw } = image;
  return sharp(data, { raw });
}
