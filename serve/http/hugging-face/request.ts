/** The JSON bodies of Hugging Face's API. Read off the server's own thread where they are large, so without Express. */
import { z } from 'zod';
import { RequestError } from '../../errors.js';
import { parseJson, tooLarge } from '../body.js';
import { bytesOfBase64 } from '../json/base64.js';
import { parseBody } from '../parse-body.js';

export const RequestBody = z
  .object({
    inputs: z.string().meta({ description: 'The image in base64' }),
    parameters: z
      .object({
        top_k: z.int().min(1).nullish().meta({ description: 'Number of classes; all if there are fewer' }),
        function_to_apply: z
          .enum(['softmax', 'sigmoid', 'none'])
          .nullish()
          .meta({ description: 'What makes scores of the model’s output: the one that this model is served with' }),
      })
      .nullish(),
  })
  .meta({ id: 'HuggingFaceRequest' });
/**
 * The image of a JSON body, and its parameters.
 * @throws {RequestError} BAD_REQUEST, IMAGE_TOO_LARGE
 */
export function imageOfJson(
  body: Buffer,
  maxBytes: number,
): { bytes: Uint8Array; parameters: z.infer<typeof RequestBody>['parameters'] } {
  const { inputs, parameters } = parseBody(RequestBody, parseJson(body));
  const bytes = bytesOfBase64(inputs);
  if (!bytes) throw new RequestError('BAD_REQUEST', 'inputs: expected the image in base64');
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  return { bytes, parameters };
}
