/**
 * A model file opened for classification in this process: decode a picture, infer its probabilities. The server's child process and
 * `alexnet classify` share it, so that they answer alike. Loads onnxruntime and sharp.
 */
import * as ort from 'onnxruntime-node';
import { UserError } from '../../model/errors.js';
import { fittingName, type ServedModel } from '../served-model.js';
import { bytesOf, DATATYPES, elementCount, type Tensor } from '../tensors.js';
import { allowOnlyPictures, decodePicture } from './decode.js';
import type { InferenceOptions } from './messages.js';
import { type ModelFile, readModelFile } from './model-file.js';
import { PictureTensor } from './picture-tensor.js';
import { chooseProvider, type Provider } from './provider.js';
import { openSession, runSession } from './session.js';

export type ClassifierOptions = Pick<InferenceOptions, 'file' | 'provider' | 'maxPixels'> &
  Partial<InferenceOptions> & {
    /** Progress for people, one line each. */
    log: (line: string) => void;
  };

export interface Classifier {
  readonly model: ServedModel;
  readonly provider: Provider;
  /** Pictures that may share a call of `infer` to advantage. */
  readonly batch: number;
  /** Encoded JPEG, PNG or WebP → uint8 RGB [imagePx, imagePx, 3], on a thread of its own. @throws {RequestError} */
  decode(bytes: Uint8Array): Promise<Uint8Array>;
  /** Those of some pictures → probabilities of each, float32 [classes]. Blocks the calling thread meanwhile. */
  infer(pictures: readonly Uint8Array[]): Promise<Float32Array[]>;
  /** That of one picture → its probabilities, and those of each crop, float32 [crops, classes]. Blocks meanwhile. */
  inferByCrop(picture: Uint8Array): Promise<{ probabilities: Float32Array; byCrop: Float32Array }>;
  /** The model's own input → its outputs by name. Blocks the calling thread meanwhile. */
  run(input: Tensor, outputs: readonly string[]): Promise<Tensor[]>;
  release(): Promise<void>;
}

/** On the CPU a batch is no faster than its pictures one by one. */
const BATCH: Record<Provider, number> = { cuda: 8, webgpu: 8, cpu: 1 };

/**
 * Restricts sharp's loaders for the whole process.
 * @throws {UserError} when the file is no classifier or the provider does not run
 */
export async function openClassifier(options: ClassifierOptions): Promise<Classifier> {
  const { file, provider, maxPixels, threads, log, version = '1' } = options;
  allowOnlyPictures();
  ort.env.logLevel = 'fatal'; // what it would print as an error, it throws as well
  const modelFile = await readModelFile(file);
  const { classifier, recipe, cropsInside } = modelFile;
  log(`loading ${file} (${(modelFile.size / 1e6).toFixed(1)} MB, ${classifier.labels.length} classes)`);
  const attempt = async (candidate: Provider) => {
    const started = performance.now();
    const session = await openSession(file, modelFile, candidate, threads);
    const loaded = performance.now();
    const pictures = new PictureInference(session, modelFile);
    await pictures.warmUp();
    log(`loaded in ${(loaded - started).toFixed(0)} ms, warmed up in ${(performance.now() - loaded).toFixed(0)} ms`);
    return { session, pictures };
  };
  const opened = await chooseProvider(provider, attempt, log);
  await modelFile.checkUnchanged();
  log(`provider ${opened.provider}${provider === 'auto' ? ' (auto)' : ''}`);
  const { session, pictures } = opened.result;
  const model: ServedModel = {
    name: options.name ?? fittingName(modelFile.name),
    version,
    ...classifier,
    crops: pictures.rows * cropsInside,
    imagePx: recipe.imagePx,
  };
  return servedBy(session, pictures, model, {
    provider: opened.provider,
    batch: pictures.batchIsFree ? (options.batch ?? BATCH[opened.provider]) : 1,
    maxPixels,
  });
}

/** A scope of its own: what it returns must not keep the file's bytes. */
function servedBy(
  session: ort.InferenceSession,
  pictures: PictureInference,
  model: ServedModel,
  { provider, batch, maxPixels }: { provider: Provider; batch: number; maxPixels: number },
): Classifier {
  return {
    model,
    provider,
    batch,
    decode: (bytes) => decodePicture(bytes, model.imagePx, maxPixels),
    infer: (squares) => pictures.infer(squares),
    inferByCrop: (square) => pictures.inferByCrop(square),
    run: (input, outputs) => runSession(session, input, outputs),
    release: () => session.release(),
  };
}

/** From decoded pictures to their probabilities: crops in, softmax where the graph has none, mean over the crops out. */
class PictureInference {
  private readonly tensor: PictureTensor;
  private readonly input: Pick<Tensor, 'name' | 'datatype' | 'shape'>;
  /** Length of the first axis, −1 where it is free. */
  private readonly batch: number;
  private readonly output: string;
  private readonly perCrop?: string;
  private readonly softmax: boolean;
  private readonly classes: number;
  private readonly imagePx: number;

  constructor(
    private readonly session: ort.InferenceSession,
    {
      classifier,
      recipe,
      output,
      perCrop,
      softmax,
    }: Pick<ModelFile, 'classifier' | 'recipe' | 'output' | 'perCrop' | 'softmax'>,
  ) {
    const { name, datatype, shape } = classifier.input;
    const { layout, inputPx } = recipe;
    this.tensor = new PictureTensor(recipe);
    this.batch = shape[0];
    this.input = { name, datatype, shape: layout === 'NCHW' ? [1, 3, inputPx, inputPx] : [1, inputPx, inputPx, 3] };
    this.output = output;
    this.perCrop = perCrop;
    this.softmax = softmax;
    this.classes = classifier.labels.length;
    this.imagePx = recipe.imagePx;
  }

  get rows(): number {
    return this.tensor.rows;
  }

  get batchIsFree(): boolean {
    return this.batch === -1;
  }

  /** Runs the model once: CUDA can fail as late as in the first run, and the first run is the slowest. */
  async warmUp(): Promise<void> {
    await this.infer([new Uint8Array(this.imagePx * this.imagePx * 3)]);
  }

  async infer(pictures: readonly Uint8Array[]): Promise<Float32Array[]> {
    const rows = await this.runRows(pictures.map((pixels) => this.tensor.of(pixels)));
    return pictures.map((_, i) =>
      this.average(rows.subarray(i * this.rows * this.classes, (i + 1) * this.rows * this.classes)),
    );
  }

  async inferByCrop(picture: Uint8Array): Promise<{ probabilities: Float32Array; byCrop: Float32Array }> {
    const input = this.tensor.of(picture);
    if (this.perCrop === undefined) {
      const rows = await this.runRows([input]);
      const byCrop = new Float32Array(rows.length);
      for (let at = 0; at < rows.length; at += this.classes) {
        const row = rows.subarray(at, at + this.classes);
        byCrop.set(this.softmax ? softmax(row) : row, at);
      }
      return { probabilities: this.average(rows), byCrop };
    }
    const tensor = { ...this.input, shape: [1, ...this.input.shape.slice(1)], bytes: bytesOf(input) };
    const [mean, each] = await runSession(this.session, tensor, [this.output, this.perCrop]);
    return { probabilities: this.average(floatsOf(mean)), byCrop: floatsOf(each) };
  }

  /** @returns [pictures · crops, classes] */
  private async runRows(inputs: (Uint8Array | Float32Array)[]): Promise<Float32Array> {
    const all = inputs.length === 1 ? bytesOf(inputs[0]) : Buffer.concat(inputs.map(bytesOf));
    const count = inputs.length * this.rows;
    const together = this.batchIsFree ? count : this.batch;
    if (count % together !== 0) {
      throw new UserError(
        `the model takes ${together} rows at a time, and a picture has ${this.rows}; export it with a free batch axis or 1`,
      );
    }
    const size = elementCount(this.input.shape) * DATATYPES[this.input.datatype].bytes * together;
    const shape = [together, ...this.input.shape.slice(1)];
    const probabilities = new Float32Array(count * this.classes);
    for (let row = 0; row < count; row += together) {
      const bytes = all.subarray((row / together) * size, (row / together + 1) * size);
      const [output] = await runSession(this.session, { ...this.input, shape, bytes }, [this.output]);
      const values = floatsOf(output);
      if (values.length !== together * this.classes) {
        throw new UserError(
          `the output ${this.output} has the shape [${output.shape}], expected [${together}, ${this.classes}]: a value for each of the ${this.classes} labels`,
        );
      }
      probabilities.set(values, row * this.classes);
    }
    return probabilities;
  }

  /** @param rows  [crops, classes] */
  private average(rows: Float32Array): Float32Array {
    const sums = new Float64Array(this.classes);
    for (let start = 0; start < rows.length; start += this.classes) {
      const row = rows.subarray(start, start + this.classes);
      const values = this.softmax ? softmax(row) : row;
      for (let i = 0; i < this.classes; i++) sums[i] += values[i];
    }
    const mean = Float32Array.from(sums, (sum) => sum / this.rows);
    if (!mean.every(Number.isFinite)) throw new Error('the model gave probabilities that are no numbers');
    return mean;
  }
}

function floatsOf({ bytes }: Tensor): Float32Array {
  return new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 4);
}

export function softmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
