/**
 * A model file opened so that every value between a crop and its probabilities can be read, and a crop be changed
 * before it goes in: the same nodes and weights as classification uses, run by onnxruntime. What cuts the crops out of
 * an image is a small session of its own.
 */
import type { Provider } from '../../../onnx/backend/provider.js';
import { cutGraph, valueInfo } from '../../../onnx/file/cut-graph.js';
import { OnnxGraph } from '../../../onnx/file/onnx-graph.js';
import { toFloat32 } from '../../../onnx/file/stored-tensor.js';
import type * as ort from '../../../onnx/onnxruntime.js';
import { centreOf, type NamedCrop, namedCrops } from '../../crops.js';
import { RequestError } from '../../errors.js';
import { decodeImage } from '../../inference/image/decode.js';
import { formulaOf, ImageTensor, rowShape } from '../../inference/image/image-tensor.js';
import { trialImage } from '../../inference/image/trial-images.js';
import { type Activation, decideActivation, probabilitiesOf, requireFinite } from '../../inference/model/activation.js';
import { geometryOf, type ModelFile, readModelFile } from '../../inference/model/model-file.js';
import { chooseProvider } from '../../inference/provider.js';
import { openSession, runSession } from '../../inference/session.js';
import type { Classifying } from '../../served-model.js';
import { bytesOf, DATATYPES, elementCount, type TensorSpec } from '../../tensors.js';
import { inputOf } from './layer-table.js';
import { findLayers, type Layer } from './layers.js';
import type { NetworkOptions } from './network-options.js';
import { type Rows, runOnce, runRows, type Values } from './run-rows.js';

/** Value in our own files that holds the crops of all images; see export/heads.ts. */
const CROPS = 'crops';
export class CropNetwork {
  readonly graph: OnnxGraph;
  readonly model: Classifying;
  readonly crops: readonly NamedCrop[];
  readonly centre: number;
  /** What the network takes: a crop a row. */
  readonly input: TensorSpec;
  readonly layers: readonly Layer[];
  private readonly tensor: ImageTensor;
  /** The graph cuts the crops itself and subtracts the mean from them. */
  readonly cutsInside: boolean;
  private readonly answer: string;
  private activation?: Promise<Activation>;
  private cutting?: Promise<ort.InferenceSession>;
  private network?: Promise<{ session: ort.InferenceSession; shapes: ReadonlyMap<string, number[]> }>;

  private constructor(
    readonly options: NetworkOptions,
    readonly file: ModelFile,
  ) {
    const { proto, classifier, recipe, cropsInside, output, perCrop } = file;
    this.graph = new OnnxGraph(options.file, proto, file.roots);
    this.tensor = new ImageTensor(recipe);
    const isRead = cropsInside === 1 || perCrop !== undefined;
    this.cutsInside = this.isOwn && isRead && this.graph.producer(CROPS) !== undefined;
    const { cropPx } = classifier;
    this.input = this.cutsInside
      ? { name: CROPS, datatype: 'FP32', shape: [-1, 3, cropPx, cropPx] }
      : { ...classifier.input, shape: [classifier.input.shape[0], ...rowShape(recipe)] };
    this.answer = (this.cutsInside && perCrop) || output;
    this.model = { ...classifier, ...geometryOf(recipe), crops: this.tensor.rows * cropsInside };
    const known = this.cutsInside || cropsInside === 1 ? namedCrops(this.model) : undefined;
    this.crops = known ?? [{ name: 'whole', top: 0, left: 0, size: this.model.imagePx, mirror: false }];
    this.centre = centreOf(this.crops);
    const body = cutGraph(proto, { inputs: [infoOf(this.input)], outputs: [this.answer] });
    this.layers = findLayers(this.graph, body.graph?.node ?? [], this.isOwn);
  }

  /**
   * Reads the file; sessions are opened when they are first needed.
   * @throws {UserError} as `readModelFile`
   */
  static async open(options: NetworkOptions): Promise<CropNetwork> {
    return new CropNetwork(options, await readModelFile(options.file, options.roots));
  }

  /** Written by this program, with values named after layers. */
  get isOwn(): boolean {
    return this.file.isOwn;
  }

  get isChannelsFirst(): boolean {
    return this.cutsInside || this.file.recipe.layout === 'NCHW';
  }

  /** What each level x of a pixel becomes before the first layer, where that is known. */
  get preparation(): string | undefined {
    const { recipe } = this.file;
    return this.isOwn && recipe.datatype === 'UINT8' ? 'x − mean' : formulaOf(recipe);
  }

  /** Elements of a crop. */
  get rowSize(): number {
    return elementCount(this.input.shape.slice(1));
  }

  /** An encoded image → uint8 pixels that crops are cut from. @throws {RequestError} */
  decode(bytes: Uint8Array): Promise<Uint8Array> {
    return decodeImage(bytes, this.file.recipe.decoding, this.options.maxPixels);
  }

  /** Every crop of a decoded image. */
  async rows(pixels: Uint8Array): Promise<Rows> {
    const tensor = this.tensor.of(pixels);
    if (!this.cutsInside) return tensor;
    this.cutting ??= this.openCutting();
    const { input } = this.model;
    const whole = { ...input, shape: [1, ...input.shape.slice(1)], bytes: bytesOf(tensor) };
    const [crops] = await runSession(await this.cutting, whole, [CROPS]);
    return toFloat32(CROPS, crops.bytes, 'F32', crops.shape);
  }

  /**
   * Shapes for one crop, channels first, of what layers give and read; without values that are no floats or have other
   * axes.
   */
  async shapes(): Promise<ReadonlyMap<string, number[]>> {
    return (await this.opened()).shapes;
  }

  /**
   * Values of layers for some crops, by the layers' names. Blocks the calling thread for each run.
   * @param rows  [count, …]
   */
  async run(rows: Rows, layers: readonly Layer[]): Promise<Map<string, Values>> {
    const { session, shapes } = await this.opened();
    const names = [...new Set(layers.map(({ value }) => value))];
    const found = await runRows(session, this.input, rows, names);
    return new Map(
      layers.map((layer) => {
        const { data, shape } = found.get(layer.value)!;
        const turned = isChannelsLast(layer, this.graph) ? channelsFirst(data, shape.slice(1)) : data;
        return [layer.name, { shape: [shape[0], ...shapes.get(layer.value)!], data: turned }];
      }),
    );
  }

  /**
   * Probabilities of some crops, [count, classes].
   * @throws {RequestError} INVALID_IMAGE where they are no finite numbers
   */
  async probabilities(rows: Rows): Promise<Float32Array> {
    this.activation ??= decideActivation(this.file.facts, async (number) =>
      this.answers(await this.rows(trialImage(number, this.file.recipe))),
    );
    const { applied } = await this.activation;
    const { width, classes } = this.file.facts;
    const data = await this.answers(rows);
    const probabilities = new Float32Array((data.length / width) * classes);
    for (let row = 0; row < data.length / width; row++) {
      const values = data.subarray(row * width, (row + 1) * width);
      probabilities.set(probabilitiesOf(values, applied, classes), row * classes);
    }
    return requireFinite(probabilities);
  }

  /** The output's own values. */
  private async answers(rows: Rows): Promise<Float32Array> {
    const { session } = await this.opened();
    return (await runRows(session, this.input, rows, [this.answer])).get(this.answer)!.data;
  }

  /** A stored tensor. @throws {RequestError} VIEW_UNAVAILABLE if it is kept as codes */
  async stored(value: string): Promise<Float32Array> {
    const tensor = this.graph.constant(value);
    if (tensor) return tensor.read();
    throw new RequestError(
      'VIEW_UNAVAILABLE',
      `the weights ${value} are stored as codes of 8 bits; look at the float32 file`,
    );
  }

  async release(): Promise<void> {
    await Promise.all([this.cutting?.then((s) => s.release()), this.network?.then(({ session }) => session.release())]);
  }

  private openCutting(): Promise<ort.InferenceSession> {
    const { proto, encode, roots } = this.file;
    const cutting = cutGraph(proto, { inputs: [infoOf(this.model.input)], outputs: [CROPS] });
    return openSession(this.options.file, { proto: cutting, encode, roots }, 'cpu', this.options.threads);
  }

  private opened() {
    this.network ??= this.openNetwork();
    return this.network;
  }

  private async openNetwork() {
    const { file, threads, provider = 'cpu', log = () => undefined } = this.options;
    const read = this.layers
      .map((layer) => inputOf(this.graph, layer))
      .filter((name) => name && name !== this.input.name);
    const outputs = [...new Set([this.answer, ...this.layers.map(({ value }) => value), ...read])];
    const { proto, encode, roots } = this.file;
    const network = cutGraph(proto, { inputs: [infoOf(this.input)], outputs });
    const zeroes = new Uint8Array(this.rowSize * DATATYPES[this.input.datatype].bytes);
    const attempt = async (candidate: Provider) => {
      const session = await openSession(file, { proto: network, encode, roots }, candidate, threads);
      return { session, found: await runOnce(session, this.input, zeroes, 1, outputs) };
    };
    const { session, found } = (await chooseProvider(provider, attempt, log)).result;
    await this.file.checkUnchanged();
    const layout = new Map(this.layers.map((layer) => [layer.value, isChannelsLast(layer, this.graph)]));
    const floats = found.filter(({ datatype, shape }) => /^FP(16|32)$/.test(datatype) && [2, 4].includes(shape.length));
    const shapes = floats.map(({ name, shape: [, ...own] }): [string, number[]] => [
      name,
      layout.get(name) && own.length === 3 ? [own[2], own[0], own[1]] : own,
    ]);
    return { session, shapes: new Map(shapes) };
  }
}

function infoOf({ name, datatype, shape }: TensorSpec) {
  return valueInfo(name, DATATYPES[datatype].onnx, shape);
}

/** Locally connected layers of our own files end with [N, H, W, C]; see export/lowerings. */
function isChannelsLast({ main }: Layer, graph: OnnxGraph): boolean {
  return main?.opType === 'MatMul' && graph.storedDims(main.input?.[1])?.length === 3;
}

/** [rows, H, W, C] → [rows, C, H, W] */
function channelsFirst(data: Float32Array, [height, width, channels]: number[]): Float32Array {
  const turned = new Float32Array(data.length);
  const plane = height * width;
  for (let i = 0; i < data.length; i++) {
    const channel = i % channels;
    const place = Math.floor(i / channels) % plane;
    const row = Math.floor(i / (plane * channels));
    turned[(row * channels + channel) * plane + place] = data[i];
  }
  return turned;
}
