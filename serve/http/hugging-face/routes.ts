/**
 * Hugging Face's image classification API (huggingface.co/docs/inference-providers/tasks/image-classification): the
 * image's bytes, or JSON `{"inputs": base64, "parameters": {"top_k": 5, "function_to_apply": "softmax"}}`, gives
 * `[{"label", "score"}, …]`, most probable first. Under the model's name, and at the root as its inference endpoints.
 */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { RequestError } from '../../errors.js';
import { DEFAULT_TOP, type ServedModel, topPredictions } from '../../served-model.js';
import { readImage, readJsonSized } from '../body.js';
import { type AppDeps, answerImage, openForImages, whenGone } from '../own/answer-image.js';
import { CLASSIFY_QUERY, IMAGE_ERRORS, single } from '../own/classify.js';
import type { Protocol, Route } from '../protocol.js';
import { Probability } from '../schemas.js';
import { RequestBody } from './request.js';

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
      pipeline(deps, '/models/:model', 'Labels with their scores'),
      pipeline(deps, '/', 'The same of the only model, as an endpoint of one’s own answers it'),
    ],
  };
}

function pipeline(deps: AppDeps, path: string, summary: string): Route {
  return {
    method: 'post',
    path,
    handler: classify(deps) as RequestHandler,
    doc: {
      summary,
      ...(path === '/' && { query: { model: CLASSIFY_QUERY.model } }),
      body: { 'image/*': 'binary', 'application/json': RequestBody },
      answer: { 'application/json': AnswerBody },
      errors: [
        ...IMAGE_ERRORS,
        'BAD_REQUEST',
        'JSON_TOO_LARGE',
        ...(path === '/' ? (['MODEL_AMBIGUOUS'] as const) : []),
      ],
    },
  };
}

function classify(deps: AppDeps): RequestHandler<{ model?: string }> {
  return async (request, response) => {
    const name = request.params.model ?? single(request.query, 'model');
    const open = () => openForImages(deps, name);
    open();
    const isJson = /^application\/json\b/i.test(request.headers['content-type'] ?? '');
    const { bytes, parameters } = isJson
      ? await imageIn(await readJsonSized(request, deps), deps, whenGone(response))
      : { bytes: await readImage(request, deps), parameters: undefined };
    const host = open();
    requireFunction(parameters?.function_to_apply, host.model);
    const { probabilities, model } = await answerImage(host, bytes, response);
    const top = Math.min(parameters?.top_k ?? DEFAULT_TOP, model.labels.length);
    const predictions = topPredictions(probabilities, model, top);
    response.json(
      predictions.map(({ label, probability }) => ({ label, score: probability })) satisfies z.infer<typeof AnswerBody>,
    );
  };
}

function imageIn(body: Buffer, { offLoop, maxBytes }: AppDeps, signal: AbortSignal) {
  return offLoop.run('picture', [body, maxBytes], body.length, signal);
}

/**
 * The scores are what the model is served with: others cannot be computed from them.
 * @throws {RequestError} BAD_REQUEST
 */
function requireFunction(wanted: string | null | undefined, { activation }: Pick<ServedModel, 'activation'>): void {
  const used = functionsOf(activation);
  if (wanted === undefined || wanted === null || used.includes(wanted)) return;
  throw new RequestError(
    'BAD_REQUEST',
    `parameters.function_to_apply: this model is served with ${used.join(' or ')}; expected that or nothing, got "${wanted}"`,
  );
}

/** What describes the scores: of a model that gives probabilities itself, `none` as well. */
function functionsOf({ applied, multiLabel, raw }: ServedModel['activation']): string[] {
  if (applied === 'softmax' || applied === 'sigmoid') return [applied];
  if (applied !== 'none') return ['softmax']; // a row of probabilities, from its logarithms or multiples
  if (raw) return ['none'];
  return [multiLabel ? 'sigmoid' : 'softmax', 'none'];
}
