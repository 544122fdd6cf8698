/** Opens a prepared data set (`pack-format.ts`), on disk or behind a URL. */
import pLimit from 'p-limit';
import { UserError } from '../../../base/errors.js';
import { OpenFiles } from '../archive/open-files.js';
import type { Dataset, OpenOptions, Shards, Split } from '../dataset.js';
import { BLOCK_BYTES, RemoteFiles } from '../remote/remote-files.js';
import { fileIn, isUrl } from '../remote/url.js';
import { partsTogether } from '../remote/window.js';
import type { PieceReader } from '../stream/piece-reader.js';
import { loadedPart } from '../stream/read-ahead.js';
import { ShardReader } from '../stream/shard-reader.js';
import { dividePack, type SplitTable } from './divide-pack.js';
import {
  CHECKSUM_LENGTH,
  fullChecksum,
  PACK_FORMAT,
  type PackRecord,
  type ShardRecord,
  shardFile,
} from './pack-format.js';

/** Files of which few bytes are wanted, read at once. */
const AT_ONCE = 16;

/**
 * @param folder  path or URL
 * @throws {UserError} when a file is missing or damaged, or the images have another size than asked for
 */
export async function openPack(
  folder: string,
  { imagePx, resampling, remote, holdOut }: OpenOptions,
): Promise<Dataset> {
  const recordBytes = imagePx * imagePx * 3;
  // No record lies in two blocks.
  const recordsPerBlock = Math.ceil(BLOCK_BYTES / recordBytes);
  const files = isUrl(folder) ? new RemoteFiles(remote, recordsPerBlock * recordBytes) : new OpenFiles();
  const pack = await readJson<PackRecord>(files, fileIn(folder, 'pack.json'));
  checkPack(folder, pack, imagePx);
  const { names, checksums } = await readShardRecords(files, folder, pack);
  const reader = new ShardReader(folder, recordBytes, pack.recordsPerShard, files);
  const splits: Record<string, Split> = {};
  const checksumAt = (place: number) => checksums.slice(place * CHECKSUM_LENGTH, (place + 1) * CHECKSUM_LENGTH);
  const inPack = await readTables(files, folder, pack);
  const { tables, ...division } = dividePack(folder, inPack, pack, checksumAt, holdOut);
  for (const [split, { places, labels }] of Object.entries(tables)) {
    const record = (index: number): [number, string, string] => {
      const place = places[index];
      return [place, names[place], checksumAt(place)];
    };
    const whole: Split = {
      length: places.length,
      labels,
      name: (index) => names[places[index]],
      pixels: (index) => reader.pixels(...record(index)),
      load: async (indices) => {
        const pixels = await Promise.all(Array.from(indices, (index) => reader.load(...record(index))));
        return loadedPart(whole, indices, pixels);
      },
      ...(isUrl(folder) && { shards: blocksOf(places, recordsPerBlock, recordBytes, pack) }),
    };
    splits[split] = whole;
  }
  const { source, labels, synsets, skipped, colours } = pack;
  splits.val ??= splits.test ?? splits.train;
  splits.test ??= splits.val;
  const mean = await readMean(files, folder, pack);
  division.notes.push(...notesOnFilter(pack, resampling));
  return { source, imagePx, labels, synsets, splits, skipped, mean, colours, ...division };
}

/** Images resized in another way than the network's are near enough to measure, and not equal. */
function notesOnFilter({ resampling }: PackRecord, wanted: OpenOptions['resampling']): string[] {
  if (resampling === wanted) return [];
  const advice = wanted ? `prepare it with --resampling ${wanted}` : 'prepare it without --resampling';
  return [`its images were resized in another way than the network takes them; ${advice} to have them exact`];
}

function checkPack(folder: string, { format, imagePx }: PackRecord, wantedPx: number): void {
  if (format !== PACK_FORMAT)
    throw new UserError(`${folder}: format ${format}, this version reads ${PACK_FORMAT}; prepare it again`);
  if (imagePx === wantedPx) return;
  throw new UserError(
    `${folder}: holds images of ${imagePx} pixels, the network takes them from ${wantedPx}; prepare it again with --size ${wantedPx}`,
  );
}

/**
 * Blocks are what an epoch is shuffled by: whole shards are too few for that, and those of a folder have one or two
 * classes each.
 */
function blocksOf(
  places: Uint32Array,
  recordsPerBlock: number,
  recordBytes: number,
  { recordsPerShard }: PackRecord,
): Shards {
  const blocksPerShard = Math.ceil(recordsPerShard / recordsPerBlock);
  const blockOf = (place: number) =>
    Math.floor(place / recordsPerShard) * blocksPerShard + Math.floor((place % recordsPerShard) / recordsPerBlock);
  return { of: places.map(blockOf), together: partsTogether(recordsPerBlock * recordBytes) };
}

/** Of all shards, in their order. */
async function readShardRecords(
  files: PieceReader,
  folder: string,
  { shards }: PackRecord,
): Promise<Pick<ShardRecord, 'names' | 'checksums'>> {
  const limit = pLimit(AT_ONCE);
  const numbers = Array.from({ length: shards }, (_, shard) => shard);
  const records = await Promise.all(
    numbers.map((shard) => limit(() => readJson<ShardRecord>(files, shardFile(folder, shard, 'json')))),
  );
  return {
    names: records.flatMap(({ names }) => names),
    checksums: records.map(({ checksums }) => checksums).join(''),
  };
}

async function readTables(files: PieceReader, folder: string, pack: PackRecord): Promise<Record<string, SplitTable>> {
  const tables: Record<string, SplitTable> = {};
  for (const [split, length] of Object.entries(pack.splits)) {
    const bytes = await readChecked(files, folder, `${split}.bin`, length * 6, pack);
    tables[split] = {
      places: new Uint32Array(bytes, 0, length),
      labels: new Uint16Array(bytes, length * 4, length),
    };
  }
  return tables;
}

async function readMean(files: PieceReader, folder: string, pack: PackRecord): Promise<Float32Array> {
  return new Float32Array(await readChecked(files, folder, 'mean.bin', pack.imagePx ** 2 * 3 * 4, pack));
}

async function readChecked(
  files: PieceReader,
  folder: string,
  name: string,
  expected: number,
  { sha256 }: PackRecord,
): Promise<ArrayBuffer> {
  const file = fileIn(folder, name);
  let bytes = await readWhole(files, file);
  const isWhole = () => sha256 === undefined || sha256[name] === fullChecksum(bytes);
  if (!isWhole() && files.readAnew) bytes = await files.readAnew(file, 0, expected);
  if (bytes.length !== expected)
    throw new UserError(`${file}: expected ${expected} bytes, got ${bytes.length}; prepare the data set again`);
  if (!isWhole())
    throw new UserError(`${file}: damaged: its SHA-256 is not that in pack.json; prepare the data set again`);
  return Uint8Array.from(bytes).buffer;
}

async function readWhole(files: PieceReader, file: string): Promise<Buffer> {
  return files.whole(file).catch((cause: Error) => {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${file}: cannot be read: ${cause.message}; prepare the data set again`, { cause });
  });
}

async function readJson<T>(files: PieceReader, file: string): Promise<T> {
  const text = (await readWhole(files, file)).toString('utf8');
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new UserError(`${file}: cannot be read as JSON: ${(cause as Error).message}; prepare the data set again`, {
      cause,
    });
  }
}
