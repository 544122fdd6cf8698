/**
 * Hugging Face's image classification API (huggingface.co/docs/inference-providers/tasks/image-classification): the picture's bytes, or
 * JSON `{"inputs": base64, "parameters": {"top_k": 5}}`, gives `[{"label", "score"}, …]`, most probable first.
 */
import { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { RequestError, requestError } from '../errors.js';
import { parseTop, topPredictions } from '../served-model.js';
import { type AppDeps, answerPicture, openForPictures, requireModel } from './answer-picture.js';
import { readJson, readPicture } from './body.js';

export function huggingFace(deps: AppDeps): Router {
  const router = Router();
  router
    .route('/models/:model')
    .post(classify(deps))
    .all((request, response) => {
      response.set('allow', 'POST');
      throw new RequestError('METHOD_NOT_ALLOWED', `${request.path} answers POST, not ${request.method}`);
    });
  router.use('/models', answerError(deps));
  return router;
}

function classify(deps: AppDeps): RequestHandler<{ model: string }> {
  return async (request, response) => {
    const loaded = openForPictures(deps);
    requireModel(loaded, { name: request.params.model });
    const isJson = /^application\/json\b/i.test(request.headers['content-type'] ?? '');
    const { bytes, top } = isJson
      ? pictureOf(await readJson(request, deps.maxBytes), deps.maxBytes)
      : { bytes: await readPicture(request, deps.maxBytes), top: undefined };
    const wanted = parseTop(top, loaded);
    const { probabilities, model } = await answerPicture(deps, bytes, response);
    const predictions = topPredictions(probabilities, model, Math.min(wanted, model.labels.length));
    response.json(predictions.map(({ label, probability }) => ({ label, score: probability })));
  };
}

/** @throws {RequestError} BAD_REQUEST, IMAGE_TOO_LARGE */
function pictureOf(body: unknown, maxBytes: number): { bytes: Buffer; top: string | undefined } {
  const { inputs, parameters } = (body ?? {}) as { inputs?: unknown; parameters?: { top_k?: unknown } };
  if (typeof inputs !== 'string' || !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(inputs))
    throw new RequestError('BAD_REQUEST', 'inputs: expected the picture in base64');
  const bytes = Buffer.from(inputs, 'base64');
  if (bytes.length > maxBytes)
    throw new RequestError('IMAGE_TOO_LARGE', `the picture has more than ${maxBytes} bytes; send a smaller one`);
  const top = parameters?.top_k;
  return { bytes, top: top === undefined ? undefined : String(top) };
}

function answerError({ log }: AppDeps): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    if (response.headersSent || request.socket.destroyed) return;
    const { status, message, retryAfterS } = requestError(error, response, log);
    response.status(status).json({ error: message, ...(retryAfterS !== undefined && { estimated_time: retryAfterS }) });
  };
}
