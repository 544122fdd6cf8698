/** Opens exported files for their check. */
import { openEdited } from '../../onnx/file/open-edited.js';
import * as ort from '../../onnx/onnxruntime.js';
import { limitRounds } from './limit-rounds.js';

/**
 * Refuses a file in which a stated shape or type is another than onnxruntime infers. Without an arena: what a run took
 * is given back.
 */
const STRICT: ort.InferenceSession.SessionOptions = {
  enableCpuMemArena: false,
  logSeverityLevel: 3,
  extra: { session: { strict_shape_type_inference: '1' } },
};

export const openStrict = (model: string | Uint8Array): Promise<ort.InferenceSession> =>
  typeof model === 'string' ? ort.InferenceSession.create(model, STRICT) : ort.InferenceSession.create(model, STRICT);

/** With a limit to the rounds of its loops, see `limitRounds`. */
export const openLimited = (file: string): Promise<ort.InferenceSession> =>
  openEdited(file, limitRounds, { ...STRICT, logSeverityLevel: 4 });
