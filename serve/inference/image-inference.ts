/**
 * From decoded images to their probabilities: crops in, what the output lacks to probabilities added, mean over the
 * crops out.
 */

import { UserError } from '../../base/errors.js';
import type * as ort from '../../onnx/onnxruntime.js';
import { bytesOf, DATATYPES, elementCount, type Tensor } from '../tensors.js';
import { asInput, floatsOf } from './float16.js';
import { ImageTensor, rowShape } from './image/image-tensor.js';
import { trialImage } from './image/trial-images.js';
import { type Activation, decideActivation, probabilitiesOf, requireFinite, TRIALS } from './model/activation.js';
import type { ModelFile } from './model/model-file.js';
import { runSession } from './session.js';

/** Only this of a file: the rest holds its smaller weights. */
type OfFile = Pick<ModelFile, 'recipe' | 'output' | 'perCrop' | 'facts'>;

export class ImageInference {
  private readonly file: OfFile;
  private readonly tensor: ImageTensor;
  private readonly input: Pick<Tensor, 'name' | 'datatype' | 'shape'>;
  /** Length of the first axis, −1 if it is free. */
  private readonly batch: number;
  /** Its output does not have a row for each image, as one with the classes first: it gets them one at a time. */
  private takesOne: boolean;
  private decided?: Activation;

  constructor(
    private readonly session: ort.InferenceSession,
    { classifier, recipe, output, perCrop, facts }: OfFile & Pick<ModelFile, 'classifier'>,
  ) {
    const { name, datatype, shape } = classifier.input;
    this.file = { recipe, output, perCrop, facts };
    this.tensor = new ImageTensor(recipe);
    this.batch = shape[0];
    const [rows = -1] = classifier.outputs.find(({ name }) => name === output)?.shape ?? [];
    this.takesOne = this.batch === -1 && rows > 1;
    this.input = { name, datatype, shape: [1, ...rowShape(recipe)] };
  }

  get rows(): number {
    return this.tensor.rows;
  }

  get batchIsFree(): boolean {
    return this.batch === -1 && !this.takesOne;
  }

  /** What becomes of the output's values; to be asked after `warmUp`. */
  get activation(): Activation {
    return this.decided!;
  }

  /**
   * Runs the model: CUDA can fail as late as in the first run, and the first run is the slowest. Its numbers tell
   * whether they are probabilities, where nothing else does.
   * @param remembered  what its numbers told before
   * @throws {UserError} if it gives no finite numbers for any trial image, or its output does not fit the labels
   */
  async warmUp(remembered?: Activation): Promise<void> {
    const trials = new Map<number, Float32Array>();
    const trial = async (number: number) => {
      const rows = trials.get(number) ?? (await this.runRows([this.tensor.of(trialImage(number, this.file.recipe))]));
      trials.set(number, rows);
      return rows;
    };
    this.decided = await decideActivation(this.file.facts, trial, remembered);
    for (let number = 0; number < TRIALS; number++) {
      if (this.mean(await trial(number)).every(Number.isFinite)) return;
    }
    throw new UserError(`the output ${this.file.output} has non-finite numbers, whatever the image`);
  }

  async infer(images: readonly Uint8Array[]): Promise<Float32Array[]> {
    const rows = await this.runRows(images.map((pixels) => this.tensor.of(pixels)));
    const size = this.rows * this.file.facts.width;
    return images.map((_, i) => this.answer(rows.subarray(i * size, (i + 1) * size)));
  }

  async inferByCrop(image: Uint8Array): Promise<{ probabilities: Float32Array; byCrop: Float32Array }> {
    const { output, perCrop } = this.file;
    const input = this.tensor.of(image);
    if (perCrop === undefined) {
      const rows = await this.runRows([input]);
      const byCrop = Float32Array.from(this.single(rows).flatMap((row) => [...row]));
      return { probabilities: this.answer(rows), byCrop };
    }
    const tensor = { ...this.input, shape: [1, ...this.input.shape.slice(1)], bytes: bytesOf(input) };
    const [mean, each] = await runSession(this.session, tensor, [output, perCrop]);
    return { probabilities: this.answer(valuesOf(mean)), byCrop: valuesOf(each) };
  }

  /** The output's own values, [images · crops, width]. */
  private async runRows(inputs: (Uint8Array | Float32Array)[]): Promise<Float32Array> {
    const { output, facts } = this.file;
    const rowsOf = inputs.map((values) => bytesOf(asInput(this.input.datatype, values)));
    const all = inputs.length === 1 ? rowsOf[0] : Buffer.concat(rowsOf);
    const count = inputs.length * this.rows;
    const together = this.batchIsFree ? count : Math.abs(this.batch);
    if (count % together !== 0) {
      throw new UserError(
        `the model takes ${together} rows at a time, and an image has ${this.rows}; export it with a free batch axis or 1`,
      );
    }
    const size = elementCount(this.input.shape) * DATATYPES[this.input.datatype].bytes * together;
    const shape = [together, ...this.input.shape.slice(1)];
    const rows = new Float32Array(count * facts.width);
    for (let row = 0; row < count; row += together) {
      const bytes = all.subarray((row / together) * size, (row / together + 1) * size);
      const [found] = await runSession(this.session, { ...this.input, shape, bytes }, [output]);
      const values = valuesOf(found);
      const hasRows = isByRow(found.shape, together, facts.width);
      if (!hasRows && this.batchIsFree) {
        this.takesOne = true;
        return this.runRows(inputs);
      }
      if (!hasRows || values.length !== together * facts.width) {
        throw new UserError(
          `the output ${output} has the shape [${found.shape}], expected [${together}, ${facts.width}]: a value for each of the ${facts.width} labels`,
        );
      }
      rows.set(values, row * facts.width);
    }
    return rows;
  }

  /** Probabilities of each crop, by class. */
  private single(rows: Float32Array): Float64Array[] {
    const { width, classes } = this.file.facts;
    return Array.from({ length: rows.length / width }, (_, i) =>
      probabilitiesOf(rows.subarray(i * width, (i + 1) * width), this.activation.applied, classes),
    );
  }

  private mean(rows: Float32Array): Float32Array {
    const single = this.single(rows);
    const { classes } = this.file.facts;
    return Float32Array.from(
      { length: classes },
      (_, c) => single.reduce((sum, row) => sum + row[c], 0) / single.length,
    );
  }

  private answer(rows: Float32Array): Float32Array {
    return requireFinite(this.mean(rows));
  }
}

/** Whether values are those of one row after another. */
function isByRow(shape: readonly number[], rows: number, width: number): boolean {
  const first = shape.find((length) => length !== 1);
  return rows === 1 || first === rows || first === rows * width;
}

function valuesOf({ bytes, datatype }: Tensor): Float32Array {
  return floatsOf(bytes, datatype === 'FP16');
}
