/** Runs a file's own graph in onnxruntime alongside the network that its weights went into, on the same images. */
import { Float16Array } from '@petamoriken/float16';
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { tfl } from '../../base/tfjs/layers.js';
import type { NetworkSpec } from '../../model/spec.js';
import { cutGraph, valueInfo } from '../../onnx/file/cut-graph.js';
import { onnx } from '../../onnx/file/onnx-proto.js';
import { openEdited } from '../../onnx/file/open-edited.js';
import * as ort from '../../onnx/onnxruntime.js';
import { type Difference, largestDifference, type OutputPair } from '../check/difference.js';
import { LRN_FLAGS } from './choose-lrn.js';
import type { Normalisation } from './normalisation.js';
import type { FedValue, Source } from './source.js';
import { squareImages } from './square-images.js';

const IMAGES = 3;
/** Share of the largest logit: float32 sums of 9216 terms differ by some 1e-6; half precision by a percent. */
const TOLERANCE = { float32: 1e-4, float16: 0.05 };

export interface Compared extends Pick<Difference, 'maxAbs' | 'maxRel'> {
  pictures: number;
}

/** The network, and how it is fed. */
export interface Imported {
  model: tfl.LayersModel;
  /** float32 [imagePx, imagePx, 3] */
  mean: Float32Array;
  normalisation: Pick<Normalisation, 'channelOrder' | 'std'>;
  /** What differs by the graph's structure. */
  differences: readonly string[];
}

/**
 * @returns  how far the logits are apart at most, or why they cannot be compared
 * @throws {UserError} if they differ, naming the first layer that does and the flags to try
 */
export async function compareOutputs(
  source: Source,
  spec: NetworkSpec,
  imported: Imported,
): Promise<Compared | string> {
  const { file, graph, layers } = source;
  if (!graph) return 'the file holds weights and no graph that could be run';
  if (graph.notRun) return graph.notRun;
  if (!graph.fed || layers.some(({ value }) => value === undefined)) return 'the graph does not say where crops go in';
  const { crops, fed } = cropsOf(spec, imported);
  // Locally connected layers give their values in other orders; the next layer shows them.
  const rows = spec.rows.filter((row) => row.type === 'conv' || row.type === 'fc');
  const values = layers.filter(({ kind }) => kind !== 'local').map(({ value }) => value!);
  let theirs: Result[];
  try {
    theirs = await runFile(file, graph.fed, fed, spec.inputPx, values);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    return `onnxruntime cannot run the file on ${spec.inputPx}×${spec.inputPx} pixels: ${(cause as Error).message.split('\n')[0]}`;
  }
  const names = rows.map(({ name }) => name);
  const ours = runNetwork(imported.model, names, crops, spec.inputPx);
  const pairs = rows.map((row, i) => pairOf(row, theirs[i], ours[i]));
  const logits = largestDifference([pairs.at(-1)!]);
  const tolerance = TOLERANCE[theirs.some(({ type }) => type === 'float16') ? 'float16' : 'float32'];
  if (logits.maxRel <= tolerance) return { pictures: IMAGES, maxAbs: logits.maxAbs, maxRel: logits.maxRel };
  throw differs(source, spec, { pairs, logits, tolerance, differences: imported.differences });
}

interface Result {
  type: string;
  dims: readonly number[];
  data: ArrayLike<number>;
}

/** The same images for both: NHWC for ours, mean subtracted; NCHW for the file, as its network was trained. */
function cropsOf({ imagePx, inputPx }: NetworkSpec, { mean, normalisation }: Imported) {
  const { channelOrder, std } = normalisation;
  const images = squareImages(IMAGES, imagePx);
  const size = inputPx ** 2 * 3;
  const [crops, fed] = [new Float32Array(IMAGES * size), new Float32Array(IMAGES * size)];
  const margin = Math.floor((imagePx - inputPx) / 2);
  for (let i = 0; i < crops.length; i++) {
    const channel = i % 3;
    const x = Math.floor(i / 3) % inputPx;
    const y = Math.floor(i / 3 / inputPx) % inputPx;
    const image = Math.floor(i / size);
    const place = ((y + margin) * imagePx + x + margin) * 3 + channel;
    crops[i] = images[image * imagePx ** 2 * 3 + place] - mean[place];
    const plane = channelOrder === 'bgr' ? 2 - channel : channel;
    fed[image * size + (plane * inputPx + y) * inputPx + x] = crops[i] / std[channel];
  }
  return { crops, fed };
}

/** What the file's layers give. */
async function runFile(
  file: string,
  { name, type, rows = 1 }: FedValue,
  crops: Float32Array,
  inputPx: number,
  outputs: readonly string[],
): Promise<Result[]> {
  const { DataType } = onnx.TensorProto;
  const elemType = type === 'float16' ? DataType.FLOAT16 : DataType.FLOAT;
  const dims = [rows, 3, inputPx, inputPx];
  const session = await openPart(file, valueInfo(name, elemType, dims), outputs);
  try {
    const runs: ort.InferenceSession.ReturnType[] = [];
    const size = crops.length / IMAGES;
    for (let first = 0; first < IMAGES; first += rows) {
      const batch = new Float32Array(rows * size); // zeros if there are more rows than images
      batch.set(crops.subarray(first * size, (first + rows) * size));
      const data = type === 'float16' ? new Uint16Array(Float16Array.from(batch).buffer) : batch;
      runs.push(await session.run({ [name]: new ort.Tensor(type, data as Float32Array, dims) }));
    }
    return outputs.map((output) => joined(runs.map((results) => results[output])));
  } finally {
    await session.release();
  }
}

/** The part of a file between a value and others; its weights stay in the file. */
async function openPart(file: string, input: ReturnType<typeof valueInfo>, outputs: readonly string[]) {
  const part = (model: onnx.IModelProto) => {
    const cut = cutGraph(model, { inputs: [input], outputs: [...new Set(outputs)] });
    return { ...cut, graph: { ...cut.graph, valueInfo: [] } }; // of another size of image, maybe
  };
  return openEdited(file, part, { enableCpuMemArena: false, logSeverityLevel: 4 });
}

/** The rows of all runs, as many as there are images. */
function joined(tensors: readonly ort.Tensor[]): Result {
  const [{ type, dims }] = tensors;
  const row = tensors[0].size / dims[0];
  const data = new Float32Array(IMAGES * row);
  let at = 0;
  for (const { data: numbers } of tensors) {
    const { buffer, byteOffset, length } = numbers as Uint16Array;
    const floats = type === 'float16' ? Float32Array.from(new Float16Array(buffer, byteOffset, length)) : numbers;
    const own = (floats as Float32Array).subarray(0, data.length - at);
    data.set(own, at);
    at += own.length;
  }
  return { type, dims: [IMAGES, ...dims.slice(1)], data };
}

/** What our layers give, maps channels first. */
function runNetwork(model: tfl.LayersModel, names: readonly string[], crops: Float32Array, inputPx: number): Result[] {
  return tf.tidy(() => {
    const outputs = names.map((name) => model.getLayer(name).output as tfl.SymbolicTensor);
    const part = tfl.model({ inputs: model.inputs, outputs });
    const found = [part.predict(tf.tensor4d(crops, [IMAGES, inputPx, inputPx, 3]))].flat();
    return found.map((tensor) => {
      const turned = tensor.rank === 4 ? tf.transpose(tensor, [0, 3, 1, 2]) : tensor;
      return { type: 'float32', dims: turned.shape, data: turned.dataSync() };
    });
  });
}

/** A layer both ways. Ours ends with its ReLU, the file's before it. */
function pairOf({ name, relu }: { name: string; relu: boolean }, theirs: Result, ours: Result): OutputPair {
  const expected = relu ? Array.from(theirs.data, (value) => Math.max(0, value)) : theirs.data;
  return { name, dims: theirs.dims, expected, actual: ours.data };
}

interface Found {
  /** By layer with weights, in order. */
  pairs: readonly OutputPair[];
  logits: Difference;
  tolerance: number;
  differences: readonly string[];
}

function differs({ file }: Source, spec: NetworkSpec, { pairs, logits, tolerance, differences }: Found): UserError {
  const isSame = (pair: OutputPair) =>
    pair.expected.length === pair.actual.length && largestDifference([pair]).maxRel <= tolerance;
  const at = pairs.findIndex((pair) => !isSame(pair));
  const [first, before] = [pairs[at] ?? pairs.at(-1)!, pairs[at - 1]];
  const place = (name: string | undefined) => spec.rows.findIndex((row) => row.name === name);
  const between = spec.rows.slice(place(before?.name) + 1, place(first.name) + 1);
  const flags = between.some(({ type }) => type === 'lrn') ? `${LRN_FLAGS}, or another --model` : 'another --model';
  const percent = (share: number) => `${Number((100 * share).toPrecision(2))} %`;
  return new UserError(
    [
      `${file}: ${spec.name} with these weights does not compute what the file computes: its logits differ by up to ` +
        `${percent(logits.maxRel)} of the largest (allowed ${percent(tolerance)}); not imported`,
      `  first difference in ${between.map(({ name }) => name).join(', ')}: ${describeDifference(first)}`,
      ...differences.map((line) => `  ${line}`),
      `Try ${flags}; "alexnet summary --model NAME" shows what a network computes`,
    ].join('\n'),
  );
}

function describeDifference(pair: OutputPair): string {
  if (pair.expected.length !== pair.actual.length)
    return `${pair.name} has ${pair.expected.length} values in the file, ${pair.actual.length} in the network`;
  const { worst } = largestDifference([pair]);
  return `${pair.name}[${worst?.index}] is ${worst?.expected} in the file, ${worst?.actual} in the network`;
}
