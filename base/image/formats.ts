/**
 * The formats of images that are read, in training and in serving alike, with their endings, first bytes, and loaders of
 * libvips. Its other loaders (SVG, PDF, camera files …) have read files, expanded without bound and had most of the
 * security faults.
 */
export interface ImageFormat {
  name: string;
  /** In lower case, without the dot. */
  endings: readonly string[];
  /** Of libvips, for bytes in memory. */
  loader: string;
  /** @param head  the first bytes as Latin-1, at least 64 where there are so many */
  isFormat(head: string): boolean;
}

const HEIC_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs', 'mif1', 'msf1'];

export const IMAGE_FORMATS: readonly ImageFormat[] = [
  {
    name: 'JPEG',
    endings: ['jpg', 'jpeg', 'jpe', 'jfif'],
    loader: 'VipsForeignLoadJpegBuffer',
    isFormat: (head) => head.startsWith('\xff\xd8\xff'),
  },
  {
    name: 'PNG',
    endings: ['png'],
    loader: 'VipsForeignLoadPngBuffer',
    isFormat: (head) => head.startsWith('\x89PNG\r\n\x1a\n'),
  },
  {
    name: 'WebP',
    endings: ['webp'],
    loader: 'VipsForeignLoadWebpBuffer',
    isFormat: (head) => /^RIFF.{4}WEBP/s.test(head),
  },
  { name: 'GIF', endings: ['gif'], loader: 'VipsForeignLoadNsgifBuffer', isFormat: (head) => /^GIF8[79]a/.test(head) },
  {
    name: 'AVIF',
    endings: ['avif'],
    loader: 'VipsForeignLoadHeifBuffer',
    isFormat: (head) => hasBrand(head, ['avif', 'avis']),
  },
  {
    name: 'TIFF',
    endings: ['tif', 'tiff'],
    loader: 'VipsForeignLoadTiffBuffer',
    isFormat: (head) => ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].some((start) => head.startsWith(start)),
  },
  // After AVIF, which may have brands of HEIC too.
  {
    name: 'HEIC',
    endings: ['heic', 'heif'],
    loader: 'VipsForeignLoadHeifBuffer',
    isFormat: (head) => hasBrand(head, HEIC_BRANDS),
  },
];

/** Those that sharp reads as npm installs it, for people. */
export const READ_FORMATS = 'JPEG, PNG, WebP, GIF, AVIF or TIFF';

/** For people. */
export const IMAGE_ENDINGS = IMAGE_FORMATS.flatMap(({ endings }) => endings.map((ending) => `.${ending}`)).join(', ');

export const HEIC_ADVICE =
  'HEIC, which sharp cannot decode as npm installs it (its codec is patented): convert it to JPEG, e.g. with ' +
  '"heif-convert", or let the phone store "most compatible" images; sharp built with a libvips of your own can read it';

/** Bytes that tell a format. */
export const HEAD_BYTES = 64;

/** @returns undefined if it is none that is read */
export function formatOf(bytes: Uint8Array): ImageFormat | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, HEAD_BYTES));
  return IMAGE_FORMATS.find(({ isFormat }) => isFormat(head));
}

/** @param formats  sharp's `format` */
export const isUnreadHeic = (bytes: Uint8Array, formats: Parameters<typeof readsHeic>[0]): boolean =>
  formatOf(bytes)?.name === 'HEIC' && !readsHeic(formats);

/** As libvips's loaders say it. */
const CUT_SHORT = /premature end of JPEG|Unexpected end of (GIF source data|file)|Insufficient input data/;
const SAYS_NOTHING =
  /^$|^Unknown error|unsupported image format|libpng read error|unable to parse image|corrupt header:$/;

/**
 * Why an image cannot be decoded, in a line: libvips writes several. It keeps the messages of all threads in one place,
 * where some get lost; sharp then has "Unknown error".
 * @param bytes  the image, or its first bytes
 */
export function reasonOf(error: unknown, bytes: Uint8Array): string {
  if (bytes.length === 0) return 'the file is empty';
  const { message } = error as Error;
  if (CUT_SHORT.test(message)) return 'the file is cut short';
  if (/^Input file is missing/.test(message)) return 'there is no such file';
  const line = message.split('\n').find((text) => !/: bad seek to /.test(text)) ?? '';
  if (!SAYS_NOTHING.test(line)) return line;
  const format = formatOf(bytes);
  return format ? `damaged or cut short (${format.name})` : `not a ${READ_FORMATS} image`;
}

/** @param formats  sharp's `format`: HEIC counts if sharp was built with a libvips that decodes it */
export const readsHeic = ({ heif }: { heif: { input: { fileSuffix?: string[] } } }): boolean =>
  heif.input.fileSuffix?.includes('.heic') === true;

/** Of ISO/IEC 14496-12, whose first box lists the brands that a file conforms to. */
export function brandsOf(head: string): string[] | undefined {
  if (head.slice(4, 8) !== 'ftyp') return undefined;
  const size = (head.charCodeAt(2) << 8) + head.charCodeAt(3);
  return head.slice(8, size).match(/.{4}/gs) ?? [];
}

const hasBrand = (head: string, wanted: readonly string[]): boolean =>
  brandsOf(head)?.some((brand) => wanted.includes(brand)) === true;
