/** Opens exported files for their check. */
import * as ort from '../../onnx/onnxruntime.js';

/**
 * Refuses a file in which a stated shape or type is another than onnxruntime infers. Without an arena: what a run took
 * is given back.
 */
export function openStrict(model: string | Uint8Array): Promise<ort.InferenceSession> {
  const options: ort.InferenceSession.SessionOptions = {
    enableCpuMemArena: false,
    logSeverityLevel: 3,
    extra: { session: { strict_shape_type_inference: '1' } },
  };
  return typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options);
}
