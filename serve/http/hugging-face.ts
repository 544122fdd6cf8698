/**
 * Hugging Face's image classification API (huggingface.co/docs/inference-providers/tasks/image-classification): the picture's bytes, or
 * JSON `{"inputs": base64, "parameters": {"top_k": 5}}`, gives `[{"label", "score"}, …]`, most probable first.
 */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { RequestError } from '../errors.js';
import { parseTop, topPredictions } from '../served-model.js';
import { type AppDeps, answerPicture, openForPictures } from './answer-picture.js';
import { readJson, readPicture } from './body.js';
import { PICTURE_ERRORS } from './classify.js';
import { parseBody } from './parse-body.js';
import type { Protocol } from './protocol.js';
import { Probability, Top } from './schemas.js';

const RequestBody = z
  .object({
    inputs: z
      .string()
      .regex(/^[A-Za-z0-9+/\s]*(=\s*){0,2}$/, 'expected the picture in base64')
      .meta({ description: 'The picture in base64' }),
    parameters: z.object({ top_k: Top.optional() }).optional(),
  })
  .meta({ id: 'HuggingFaceRequest' });
const AnswerBody = z.array(z.object({ label: z.string(), score: Probability })).meta({ id: 'HuggingFaceAnswer' });
const ErrorBody = z.object({
  error: z.string(),
  estimated_time: z.int().optional().meta({ description: 'Seconds until it may pass' }),
});

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
          errors: [...PICTURE_ERRORS, 'BAD_REQUEST', 'INVALID_TOP'],
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
    const { bytes, top } = isJson
      ? pictureOf(parseBody(RequestBody, await readJson(request, deps.maxBytes)), deps.maxBytes)
      : { bytes: await readPicture(request, deps.maxBytes), top: undefined };
    const host = open();
    parseTop(top, host.model); // refuses before the inference
    const { probabilities, model } = await answerPicture(host, bytes, response);
    const predictions = topPredictions(probabilities, model, parseTop(top, model));
    response.json(
      predictions.map(({ label, probability }) => ({ label, score: probability })) satisfies z.infer<typeof AnswerBody>,
    );
  };
}

/** @throws {RequestError} IMAGE_TOO_LARGE */
function pictureOf({ inputs, parameters }: z.infer<typeof RequestBody>, maxBytes: number) {
  const bytes = Buffer.from(inputs, 'base64');
  if (bytes.length > maxBytes)
    throw new RequestError('IMAGE_TOO_LARGE', `the picture has more than ${maxBytes} bytes; send a smaller one`);
  const top = parameters?.top_k;
  return { bytes, top: top === undefined ? undefined : String(top) };
}
