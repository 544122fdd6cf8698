/** Errors of pickles with the file they are in, and what to do. */
import { UserError } from '../../../base/errors.js';
import { NotProtobuf } from '../../../onnx/file/wire.js';

/** @throws {UserError} whatever is wrong with the pickle that `read` reads */
export function readPickle<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const { message } = cause as Error;
    const reason = cause instanceof NotProtobuf ? `cut short: ${message}` : message;
    const advice = reason.startsWith('names ')
      ? '; save the weights alone, torch.save(model.state_dict(), "weights.pth"), and import that'
      : '';
    throw new UserError(`${path}: ${reason}${advice}`, { cause });
  }
}
