/** A GPU that is gone: reset by its driver, taken away, or out of reach. Nothing that lay in its memory can be read again. */
import { UserError } from '../../base/errors.js';

/** As onnxruntime says it, of WebGPU and of CUDA: a read that fails is the first sign, for calls on a lost device just do nothing. */
const MESSAGE =
  /device lost|failed to download data from buffer|failed to pop WebGPU error scope|CUDA failure (4|46|100|719|999)\b/i;

export class DeviceLostError extends UserError {
  override name = 'DeviceLostError';

  constructor(cause: Error) {
    const reason = cause.message.split('\n')[0].slice(-160);
    super(`the GPU was lost: its driver reset it, or it was taken away (${reason})`, { cause });
  }
}

/** The error, or a `DeviceLostError` where it tells of one. */
export function withDevice(error: unknown): unknown {
  return error instanceof Error && MESSAGE.test(error.message) ? new DeviceLostError(error) : error;
}
