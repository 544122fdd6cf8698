/** Weights by address or by a known name, as a file that is on disk and is what its publisher says. */
import { UserError } from '../../base/errors.js';
import type { Progress } from '../../base/progress.js';
import { digestOf } from '../../base/sha256.js';
import { downloadFile } from '../../train/data/remote/download-file.js';
import type { RemoteOptions } from '../../train/data/remote/options.js';
import { isUrl } from '../../train/data/remote/url.js';

/** Hex digits, as many as are published. */
interface Digest {
  algorithm: 'sha256' | 'sha1';
  starts: string;
}

interface KnownWeights {
  url: string;
  /** Of the file. */
  megabytes: number;
  model: string;
  digest: Digest;
}

/** From torchvision/models/alexnet.py and BVLC/caffe's models/bvlc_alexnet/readme.md. */
export const KNOWN_WEIGHTS: Record<string, KnownWeights> = {
  torchvision: {
    url: 'https://download.pytorch.org/models/alexnet-owt-7be5be79.pth',
    megabytes: 244,
    model: 'alexnet-torchvision',
    digest: { algorithm: 'sha256', starts: '7be5be79' },
  },
  bvlc: {
    url: 'http://dl.caffe.berkeleyvision.org/bvlc_alexnet.caffemodel',
    megabytes: 244,
    model: 'alexnet',
    digest: { algorithm: 'sha1', starts: '9116a64c0fbe4459d18f4bb6b56d647b63920377' },
  },
};

/** As torch.hub has it: `alexnet-owt-7be5be79.pth`. A date has no letters. */
const NAMED_DIGEST = /-(?=\d*[a-f])([0-9a-f]{8,64})\.(?:pth|pt)$/;

/**
 * @param file  a path, which is returned as it is; a URL; or a name of `KNOWN_WEIGHTS`
 * @returns     the path, and the network if the name says it
 * @throws {UserError} if it cannot be fetched or is another file than was published
 */
export async function fetchWeights(
  file: string,
  progress: Progress,
  options?: Partial<RemoteOptions>,
): Promise<{ path: string; model?: string }> {
  const known = Object.hasOwn(KNOWN_WEIGHTS, file) ? KNOWN_WEIGHTS[file] : undefined;
  const url = known?.url ?? file;
  if (!isUrl(url)) return { path: file };
  if (!URL.canParse(url)) throw new UserError(`${url}: expected a URL, such as https://host/folder/alexnet.pth`);
  if (known) progress.note(`${file}: ${url}, ${known.megabytes} MB`);
  const digest = known?.digest ?? digestInName(new URL(url).pathname);
  const check = async (path: string) => digest && verify(url, path, digest);
  const path = await downloadFile(url, progress, check, options);
  return { path, model: known?.model };
}

function digestInName(pathname: string): Digest | undefined {
  const starts = NAMED_DIGEST.exec(pathname)?.[1];
  return starts === undefined ? undefined : { algorithm: 'sha256', starts };
}

async function verify(url: string, path: string, { algorithm, starts }: Digest): Promise<void> {
  const found = await digestOf(path, algorithm);
  if (found.startsWith(starts)) return;
  const name = algorithm === 'sha256' ? 'SHA-256' : 'SHA-1';
  const expected = starts.length < found.length ? `a ${name} that begins with ${starts}` : `the ${name} ${starts}`;
  throw new UserError(
    `${path}: expected a file with ${expected} from ${url}, got ${found.slice(0, starts.length)}; ` +
      'delete it if it is there, and repeat the command or check where the file comes from',
  );
}
