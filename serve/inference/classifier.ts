/**
 * A model file opened for classification in this process: decode an image, infer its probabilities. The server's child
 * process and `alexnet classify` share it, so that they answer alike. Loads onnxruntime and sharp.
 */

import type { Provider } from '../../onnx/backend/provider.js';
import { fittingName } from '../../onnx/file/model-name.js';
import type * as ort from '../../onnx/onnxruntime.js';
import type { ServedModel } from '../served-model.js';
import type { Tensor } from '../tensors.js';
import { allowOnlyImages, decodeImage } from './image/decode.js';
import type { ImageRecipe } from './image/image-tensor.js';
import { ImageInference } from './image-inference.js';
import type { InferenceOptions, Remembered } from './messages.js';
import { describeActivation } from './model/activation.js';
import { geometryOf, readModelFile } from './model/model-file.js';
import { chooseProvider } from './provider.js';
import { openSession, runSession } from './session.js';

export type ClassifierOptions = Pick<InferenceOptions, 'file' | 'provider' | 'maxPixels'> &
  Partial<InferenceOptions> & {
    /** Progress for people, one line each. */
    log: (line: string) => void;
  };

export interface Classifier {
  readonly model: ServedModel;
  readonly provider: Provider;
  /** Images that may share a call of `infer` to advantage. */
  readonly batch: number;
  /** For the next process that opens the same file. */
  readonly remembered?: Remembered;
  /** Of the files as they were read, see file-signature.ts. */
  readonly signatures: string[];
  /**
   * An encoded image → uint8 pixels as the model's crops are cut from, on a thread of its own.
   * @throws {RequestError}
   */
  decode(bytes: Uint8Array): Promise<Uint8Array>;
  /** Those of some images → probabilities of each, float32 [classes]. Blocks the calling thread meanwhile. */
  infer(images: readonly Uint8Array[]): Promise<Float32Array[]>;
  /** That of one image → its probabilities, and those of each crop, float32 [crops, classes]. Blocks meanwhile. */
  inferByCrop(image: Uint8Array): Promise<{ probabilities: Float32Array; byCrop: Float32Array }>;
  /** The model's own input → its outputs by name. Blocks the calling thread meanwhile. */
  run(input: Tensor, outputs: readonly string[]): Promise<Tensor[]>;
  release(): Promise<void>;
}

/** On the CPU a batch is no faster than its images one by one. */
const BATCH: Record<Provider, number> = { cuda: 8, webgpu: 8, cpu: 1 };

/**
 * Restricts sharp's loaders for the whole process.
 * @throws {UserError} when the file is not a classifier or the provider does not run
 */
export async function openClassifier(options: ClassifierOptions): Promise<Classifier> {
  const { file, provider, maxPixels, threads, log, version = '1' } = options;
  allowOnlyImages();
  const modelFile = await readModelFile(file, options.roots);
  const { classifier, recipe, cropsInside } = modelFile;
  log(`loading ${file} (${(modelFile.size / 1e6).toFixed(1)} MB, ${classifier.labels.length} classes)`);
  for (const note of modelFile.notes) log(note);
  const of = JSON.stringify([modelFile.signatures, modelFile.facts, recipe, classifier]);
  const remembered = options.remembered?.of === of ? options.remembered.activation : undefined;
  const attempt = async (candidate: Provider) => {
    const started = performance.now();
    const session = await openSession(file, modelFile, candidate, threads);
    const loaded = performance.now();
    const images = new ImageInference(session, modelFile);
    await images.warmUp(remembered);
    log(`loaded in ${(loaded - started).toFixed(0)} ms, warmed up in ${(performance.now() - loaded).toFixed(0)} ms`);
    return { session, images };
  };
  const opened = await chooseProvider(provider, attempt, log);
  await modelFile.checkUnchanged();
  const { session, images } = opened.result;
  const { activation } = images;
  log(`output ${modelFile.output}: ${describeActivation(activation)}`);
  const model: ServedModel = {
    name: options.name ?? fittingName(modelFile.name),
    version,
    ...classifier,
    ...geometryOf(recipe),
    crops: images.rows * cropsInside,
    activation,
    answer: activation.applied === 'none' ? modelFile.output : 'probabilities',
  };
  return servedBy(session, images, model, {
    recipe,
    provider: opened.provider,
    remembered: { of, activation },
    signatures: modelFile.signatures,
    batch: images.batchIsFree ? (options.batch ?? BATCH[opened.provider]) : 1,
    maxPixels,
  });
}

/** A scope of its own: what it returns must not keep the file's bytes. */
function servedBy(
  session: ort.InferenceSession,
  images: ImageInference,
  model: ServedModel,
  {
    recipe,
    maxPixels,
    ...rest
  }: { recipe: ImageRecipe; maxPixels: number } & Pick<Classifier, 'provider' | 'batch' | 'remembered' | 'signatures'>,
): Classifier {
  return {
    model,
    ...rest,
    decode: (bytes) => decodeImage(bytes, recipe.decoding, maxPixels),
    infer: (squares) => images.infer(squares),
    inferByCrop: (square) => images.inferByCrop(square),
    run: (input, outputs) => runSession(session, input, outputs),
    release: () => session.release(),
  };
}
