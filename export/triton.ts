/**
 * A model repository for NVIDIA Triton: `REPO/NAME/config.pbtxt`, `labels.txt` and `REPO/NAME/VERSION/model.onnx`. With
 * the image head Triton needs no code of ours. Source: triton-inference-server/common, protobuf/model_config.proto, and
 * server, docs/user_guide/model_repository.md.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { moveFile, writeFileAtomically } from '../base/atomic-file.js';
import { UserError } from '../base/errors.js';
import { makeFolder } from '../base/make-folder.js';
import type { Progress } from '../base/progress.js';
import { foreignFile, startOf } from '../base/replaceable.js';
import { readMetadata } from '../onnx/file/model-file.js';
import { openRun } from '../train/run/run-folder.js';
import { type ExportRunReport, type ExportRunRequest, exportRun } from './from-run.js';

/** As for `alexnet export --run`, with a repository in place of a file. */
export interface TritonRequest extends Omit<ExportRunRequest, 'out'> {
  /** Folder of the repository; made if it is not there. */
  triton: string;
  /** Its folder's too; default: the network's. */
  name?: string;
}

export interface TritonReport extends ExportRunReport {
  name: string;
  version: number;
}

/** Images that may share a run, and how long the first of them waits for others: a GPU gains by it. */
const MAX_BATCH = 8;
const QUEUE_DELAY_MICROSECONDS = 5000;

/**
 * Adds the run's checkpoint to the repository as its model's next version, which appears whole.
 * @throws {UserError} as `exportRun`
 */
export async function exportTriton(request: TritonRequest, progress: Progress): Promise<TritonReport> {
  const { config, labels, imagePx, inputPx } = await openRun(request.run);
  const { name = config.model, triton, head } = request;
  const folder = join(triton, name);
  await checkModelFolder(folder, labels);
  await makeFolder(folder);
  const pending = join(folder, `.version-${randomUUID()}`); // no number, so that Triton passes it over
  await mkdir(pending);
  const version = 1 + (await newestVersion(folder));
  try {
    const report = await exportRun({ ...request, name, out: join(pending, 'model.onnx') }, progress);
    await writeFileAtomically(join(folder, 'labels.txt'), labelLines(labels));
    const side = head === 'image' ? imagePx : inputPx;
    await writeFileAtomically(join(folder, 'config.pbtxt'), tritonConfig({ name, head, side, classes: labels.length }));
    await moveFile(pending, join(folder, String(version)));
    const placed = (file: string) => file.replace(pending, join(folder, String(version)));
    const dataFile = report.dataFile && placed(report.dataFile);
    return { ...report, file: placed(report.file), dataFile, name, version };
  } finally {
    await rm(pending, { recursive: true, force: true });
  }
}

/** 0 if there is none. */
async function newestVersion(folder: string): Promise<number> {
  const entries = await readdir(folder).catch(() => []);
  return Math.max(0, ...entries.filter((entry) => /^[1-9]\d*$/.test(entry)).map(Number));
}

/**
 * Next to the versions: what an earlier export wrote and nobody has changed since.
 * @param labels  of the export at hand, which one that was killed may have left
 * @throws {UserError} if it is something else
 */
async function checkModelFolder(folder: string, labels: string[]): Promise<void> {
  const config = (await startOf(join(folder, 'config.pbtxt'))).toString();
  const head = config.includes('TYPE_UINT8') ? 'image' : 'tensor';
  const [sides, classes] = [...config.matchAll(/dims: \[ ([\d, ]+) \]/g)].map(([, dims]) =>
    dims.split(', ').map(Number),
  );
  const model = { name: basename(folder), head, side: sides?.[1], classes: classes?.[0] } as const;
  const isOwn = config === tritonConfig(model);
  const newest = join(folder, String(await newestVersion(folder)), 'model.onnx');
  const written = await readMetadata(newest).catch(() => undefined);
  const isOwnLabels = (start: Buffer) =>
    [labels, ...(written ? [written.labels] : [])].some((own) => start.toString() === labelLines(own));
  const foreign = [
    await foreignFile(join(folder, 'config.pbtxt'), () => isOwn),
    await foreignFile(join(folder, 'labels.txt'), isOwnLabels),
  ].flat();
  if (foreign.length === 0) return;
  throw new UserError(
    `${foreign.join(', ')}: not as "alexnet export" writes it, so it is kept; move it away, or name another model with --name`,
  );
}

/** `ModelConfig` in protobuf's text format. @param side  of the input, pixels */
export function tritonConfig(model: { name: string; head: 'image' | 'tensor'; side: number; classes: number }): string {
  const { name, head, side, classes } = model;
  const input =
    head === 'image'
      ? { name: 'image', type: 'TYPE_UINT8', format: 'FORMAT_NHWC', dims: [side, side, 3] }
      : { name: 'input', type: 'TYPE_FP32', format: 'FORMAT_NCHW', dims: [3, side, side] };
  const outputs = head === 'image' ? ['probabilities'] : ['logits', 'probabilities'];
  return `name: "${name}"
backend: "onnxruntime"
default_model_filename: "model.onnx"
max_batch_size: ${MAX_BATCH}
input [
  {
    name: "${input.name}"
    data_type: ${input.type}
    format: ${input.format}
    dims: [ ${input.dims.join(', ')} ]
  }
]
output [
${outputs.map((output) => outputBlock(output, classes)).join(',\n')}
]
dynamic_batching {
  max_queue_delay_microseconds: ${QUEUE_DELAY_MICROSECONDS}
}
instance_group [
  {
    count: 1
    kind: KIND_AUTO
  }
]
model_warmup [
  {
    name: "one input of zeros"
    batch_size: 1
    inputs {
      key: "${input.name}"
      value {
        data_type: ${input.type}
        dims: [ ${input.dims.join(', ')} ]
        zero_data: true
      }
    }
  }
]
`;
}

function outputBlock(name: string, classes: number): string {
  return `  {
    name: "${name}"
    data_type: TYPE_FP32
    dims: [ ${classes} ]
    label_filename: "labels.txt"
  }`;
}

/** `labels.txt`. */
function labelLines(labels: string[]): string {
  return labels.map((label) => `${label.replace(/\s+/g, ' ').trim()}\n`).join('');
}
