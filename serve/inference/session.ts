/**
 * A model file opened in onnxruntime. Weights stay in their file: onnxruntime is handed a model of some kilobytes that
 * refers to them, maps the pages it needs and drops them once its kernels have packed their own copy.
 */

import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { usableCores } from '../../base/process/usable-cores.js';
import type { Provider } from '../../onnx/backend/provider.js';
import type { TensorData } from '../../onnx/file/encode-edited.js';
import { readAllExternalData, realLocations } from '../../onnx/file/external-data.js';
import * as ort from '../../onnx/onnxruntime.js';
import { profiling } from '../../onnx/profiling.js';
import { partsOf, splitCrops } from '../../onnx/rewrite/crops.js';
import { rewriteFor } from '../../onnx/rewrite/for-provider.js';
import { RequestError } from '../errors.js';
import { bytesOf, DATATYPES, datatypeOf, numbersOf, type Tensor } from '../tensors.js';
import type { ModelFile } from './model/model-file.js';

type ModelProto = import('onnx-proto').onnx.IModelProto;
type TensorProto = import('onnx-proto').onnx.ITensorProto;

/**
 * Threads that wait for one another do not spin: decoding, HTTP and other inference processes need the processor. Under
 * load 0 to 20 % more images a second, with a single client as many.
 */
const WAITS_ASLEEP = { intra_op: { allow_spinning: '0' } };

type OfFile = Pick<ModelFile, 'proto' | 'perCrop' | 'encode' | 'roots'> & Partial<Pick<ModelFile, 'cropsInside'>>;

/**
 * @param threads  of the CPU provider; undefined for one per core
 * @param options  `spins`: threads wait for one another as onnxruntime has them by default
 * @throws         what onnxruntime throws if the provider does not run, or the model is not valid
 */
export async function openSession(
  file: string,
  { proto, perCrop, cropsInside = 1, encode, roots }: OfFile,
  provider: Provider,
  threads = usableCores(),
  { spins = false } = {},
): Promise<ort.InferenceSession> {
  const whole = rewriteFor(provider, proto);
  const rewritten = provider === 'cpu' ? splitCrops(whole, partsOf(cropsInside, threads)) : whole;
  const model = perCrop === undefined ? rewritten : withOutput(rewritten, perCrop);
  const create = (data: ReadonlyMap<TensorProto, TensorData>, folder = dirname(file)) =>
    ort.InferenceSession.create(encode(model, data), {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      logSeverityLevel: 3,
      enableMemPattern: false, // 40 MB less on AlexNet, and no slower
      extra: { session: { ...(spins ? {} : WAITS_ASLEEP), model_external_initializers_file_folder_path: folder } },
      ...profiling,
    });
  const real = process.platform === 'linux' ? await realLocations(file, model) : undefined;
  if (real) {
    const session = await create(real.locations, real.folder);
    if (!isMapped(real.folder)) return session;
    await session.release();
  }
  return create(await readAllExternalData(file, model, roots));
}

/** The model with one more output; onnxruntime knows its type. */
function withOutput(model: ModelProto, name: string): ModelProto {
  const { graph } = model;
  return { ...model, graph: { ...graph, output: [...(graph?.output ?? []), { name }] } };
}

/**
 * Whether this process still looks into files of a folder, a real path: if somebody writes into one, weights would
 * change, and if somebody cuts it, the process would end (SIGBUS). Weights that kernels have packed are no longer
 * looked at. Linux only.
 */
function isMapped(folder: string): boolean {
  return readFileSync('/proc/self/maps', 'utf8').includes(`${folder}/`);
}

/** Blocks the calling thread for the whole inference. */
export async function runSession(
  session: ort.InferenceSession,
  { name, datatype, shape, bytes }: Tensor,
  outputs: readonly string[],
): Promise<Tensor[]> {
  const { ort: type } = DATATYPES[datatype];
  const input = new ort.Tensor(type, numbersOf(datatype, bytes) as never, shape);
  const results = await session.run({ [name]: input }, outputs);
  return outputs.map((output) => {
    const { type, dims, data } = results[output];
    const given = datatypeOf('ort', type);
    if (!given)
      throw new RequestError('INFERENCE_FAILED', `the output ${output} has the type ${type}, which is not served`);
    return { name: output, datatype: given, shape: [...dims], bytes: bytesOf(data as ArrayBufferView) };
  });
}
