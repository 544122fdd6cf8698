/** Names what was sent in place of an image that is read, by its first bytes, so that a refusal can say it. */
import { brandsOf } from '../../../base/image/formats.js';

/** Bytes looked at. */
const HEAD = 1024;

const STARTS: [string, string][] = [
  ['\xff\x0a', 'JPEG XL'],
  ['\0\0\0\x0cJXL \r\n\x87\n', 'JPEG XL'],
  ['\xff\x4f\xff\x51', 'JPEG 2000'],
  ['\0\0\0\x0cjP  \r\n\x87\n', 'JPEG 2000'],
  ['\0\0\x01\0', 'ICO'],
  ['\0\0\x02\0', 'CUR'],
  ['8BPS', 'PSD'],
  ['v/1\x01', 'OpenEXR'],
  ['#?RADIANCE', 'Radiance HDR'],
  ['qoif', 'QOI'],
  ['%!PS', 'PostScript'],
  ['PK\x03\x04', 'a ZIP archive'],
  ['\x1f\x8b', 'gzip'],
  ['\x1aE\xdf\xa3', 'a video'],
  ['/9j/', 'an image in base64, not its bytes'],
  ['iVBORw0KGgo', 'an image in base64, not its bytes'],
  ['UklGR', 'an image in base64, not its bytes'],
  ['data:image/', 'a data: URL, not the bytes of an image'],
];

const PATTERNS: [RegExp, string][] = [
  [/^BM(?=.{12})/s, 'BMP'],
  [/^P[1-7]\s/, 'PNM'],
  [/^.{0,200}%PDF-/s, 'PDF'],
  [/^(?:\xef\xbb\xbf)?\s*(?:<\?xml\b.*|<!(?:--|doctype svg).*)?<svg[\s>]/is, 'SVG'],
  [/^(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html)[\s>]/i, 'an HTML page'],
  [/^RIFF.{4}AVI /s, 'a video'],
  [/^--[^\r\n]+\r\ncontent-/i, 'a form without "Content-Type: multipart/form-data"'],
  [/^\s*\{\s*"/, 'JSON'],
];

/** @returns undefined if it is not known */
export function foreignFormat(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(HEAD, bytes.length)).toString('latin1');
  const found = STARTS.find(([start]) => head.startsWith(start)) ?? PATTERNS.find(([pattern]) => pattern.test(head));
  return found?.[1] ?? isoFormat(head);
}

function isoFormat(head: string): string | undefined {
  const brands = brandsOf(head);
  return brands && (brands.includes('crx ') ? 'a camera’s raw file' : 'a video');
}
