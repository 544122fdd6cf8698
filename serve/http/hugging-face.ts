/**
 * Hugging Face's image classification API (huggingface.co/docs/inference-providers/tasks/image-classification): the picture's bytes, or
 * JSON `{"inputs": base64, "parameters": {"top_k": 5, "function_to_apply": "softmax"}}`, gives `[{"label", "score"}, …]`, most probable first.
 */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { RequestError } from '../errors.js';
import { DEFAULT_TOP, type ServedModel, topPredictions } from '../served-model.js';
import { parseJson, readJsonSized, readPicture, tooLarge } from './body.js';
import { bytesOfBase64 } from './json/base64.js';
import { type AppDeps, answerPicture, openForPictures, whenGone } from './own/answer-picture.js';
import { PICTURE_ERRORS } from './own/classify.js';
import { parseBody } from './parse-body.js';
import type { Protocol } from './protocol.js';
import { Probability } from './schemas.js';

const RequestBody = z
  .object({
    inputs: z.string().meta({ description: 'The image in base64' }),
    parameters: z
      .object({
        top_k: z.int().min(1).nullish().meta({ description: 'How many classes; all where there are fewer' }),
        function_to_apply: z
          .enum(['softmax', 'sigmoid', 'none'])
          .nullish()
          .meta({ description: 'What makes scores of the model’s output: the one that this model is served with' }),
      })
      .nullish(),
  })
  .meta({ id: 'HuggingFaceRequest' });
const AnswerBody = z.array(z.object({ label: z.string(), score: Probability })).meta({ id: 'HuggingFaceAnswer' });
const ErrorBody = z.object({
  error: z.string(),
  estimated_time: z.int().optional().meta({ description: 'Seconds until it may pass' }),
});

/** `multiLabel`: every label has a probability of its own. */
type Scored = Pick<ServedModel, 'labels'> & { activation?: { multiLabel: boolean } };

export function huggingFace(deps: AppDeps): Protocol {
  return {
    name: 'Hugging Face',
    description: 'As Hugging Face’s image classification API.',
    prefixes: ['/models'],
    error: {
      schema: ErrorBody,
      body: ({ message }, retryAfterS) => ({
        error: message,
        ...(retryAfterS !== undefined && { estimated_time: retryAfterS }),
      }),
    },
    routes: [
      {
        method: 'post',
        path: '/models/:model',
        handler: classify(deps) as RequestHandler,
        doc: {
          summary: 'Labels with their scores',
          body: { 'image/*': 'binary', 'application/json': RequestBody },
          answer: { 'application/json': AnswerBody },
          errors: [...PICTURE_ERRORS, 'BAD_REQUEST', 'JSON_TOO_LARGE'],
        },
      },
    ],
  };
}

function classify(deps: AppDeps): RequestHandler<{ model: string }> {
  return async (request, response) => {
    const open = () => openForPictures(deps, request.params.model);
    open();
    const isJson = /^application\/json\b/i.test(request.headers['content-type'] ?? '');
    const { bytes, parameters } = isJson
      ? await pictureIn(await readJsonSized(request, deps), deps, whenGone(response))
      : { bytes: await readPicture(request, deps), parameters: undefined };
    const host = open();
    requireFunction(parameters?.function_to_apply, host.model);
    const { probabilities, model } = await answerPicture(host, bytes, response);
    const top = Math.min(parameters?.top_k ?? DEFAULT_TOP, model.labels.length);
    const predictions = topPredictions(probabilities, model, top);
    response.json(
      predictions.map(({ label, probability }) => ({ label, score: probability })) satisfies z.infer<typeof AnswerBody>,
    );
  };
}

function pictureIn(body: Buffer, { offLoop, maxBytes }: AppDeps, signal: AbortSignal) {
  return offLoop.run('picture', [body, maxBytes], body.length, signal);
}

/**
 * The image of a JSON body, and its parameters.
 * @throws {RequestError} BAD_REQUEST, IMAGE_TOO_LARGE
 */
export function pictureOfJson(
  body: Buffer,
  maxBytes: number,
): { bytes: Uint8Array; parameters: z.infer<typeof RequestBody>['parameters'] } {
  const { inputs, parameters } = parseBody(RequestBody, parseJson(body));
  const bytes = bytesOfBase64(inputs);
  if (!bytes) throw new RequestError('BAD_REQUEST', 'inputs: expected the image in base64');
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  return { bytes, parameters };
}

/** The scores are what the model is served with: others cannot be computed from them. @throws {RequestError} BAD_REQUEST */
function requireFunction(wanted: string | null | undefined, { activation }: Scored): void {
  const used = activation?.multiLabel ? 'sigmoid' : 'softmax';
  if (wanted === undefined || wanted === null || wanted === used) return;
  throw new RequestError(
    'BAD_REQUEST',
    `parameters.function_to_apply: this model is served with ${used}; expected that or nothing, got "${wanted}"`,
  );
}
