/** What `config.json` and `labels.json` of a run must hold, so that errors are measured on the images it names. */
import { UserError } from '../../base/errors.js';
import type { MaxBad } from '../data/dataset.js';
import type { HoldOut } from '../data/layout/image-places.js';

interface Checked {
  imagePx: number;
  inputPx: number;
  holdOut?: HoldOut;
  maxBad?: MaxBad;
  resampling?: string;
}

type Check = [field: string, value: unknown, expected: string, isGood: boolean];

/**
 * @param files  paths, for messages
 * @throws {UserError} naming the field that is wrong
 */
export function checkRecord(
  files: { config: string; labels: string },
  record: Checked,
  { labels }: { labels: unknown },
): void {
  const { imagePx, inputPx, holdOut, maxBad, resampling } = record;
  const isText = (value: unknown) => typeof value === 'string';
  const checks: Check[] = [
    ['imagePx', imagePx, 'the side of the images, pixels', isCount(imagePx) && imagePx > 0],
    [
      'inputPx',
      inputPx,
      `the side of the input, 1 to ${imagePx} pixels`,
      isCount(inputPx) && inputPx > 0 && inputPx <= imagePx,
    ],
    ...(holdOut === undefined ? [] : checksOf(holdOut)),
    ['maxBad', maxBad, '{"share": 0 to 1} or {"images": a number}', maxBad === undefined || isMaxBad(maxBad)],
    ['resampling', resampling, '"bilinear", or none', resampling === undefined || resampling === 'bilinear'],
  ];
  for (const [field, value, expected, isGood] of checks) if (!isGood) throw wrong(files.config, field, value, expected);
  if (!Array.isArray(labels) || labels.length === 0 || !labels.every(isText))
    throw wrong(files.labels, 'labels', labels, 'a list of texts, one for each class');
}

function checksOf(holdOut: HoldOut): Check[] {
  const { fraction, seed, val, train } = holdOut ?? {};
  const isHashes = (value: unknown) =>
    Array.isArray(value) && value.every((hash) => typeof hash === 'string' && /^[0-9a-f]+$/.test(hash));
  return [
    [
      'holdOut.fraction',
      fraction,
      'a number from 0 to below 1',
      typeof fraction === 'number' && fraction >= 0 && fraction < 1,
    ],
    ['holdOut.seed', seed, 'a whole number of at least 0', isCount(seed)],
    ['holdOut.val', val, 'a list of hashes', isHashes(val)],
    ['holdOut.train', train, 'a list of hashes', isHashes(train)],
  ];
}

const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;

function isMaxBad(given: MaxBad): boolean {
  if (typeof given !== 'object' || given === null) return false;
  return 'images' in given
    ? isCount(given.images)
    : typeof given.share === 'number' && given.share >= 0 && given.share <= 1;
}

function wrong(file: string, field: string, value: unknown, expected: string): UserError {
  const got = JSON.stringify(value)?.slice(0, 80) ?? 'nothing';
  return new UserError(`${file}: ${field}: expected ${expected}, got ${got}; put back what "alexnet train" wrote`);
}
