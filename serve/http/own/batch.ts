/** `POST /classify/batch`: many images in one request, each with an answer or an error of its own. */
import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import { knownError, RequestError } from '../../errors.js';
import type { Classified } from '../../hosting/model-host.js';
import { requireImage } from '../../inference/image/image-kind.js';
import { parseTop, topPredictions } from '../../served-model.js';
import { tooLarge } from '../body.js';
import { type BatchImage, filesOfForm } from '../form.js';
import type { Route } from '../protocol.js';
import { BatchAnswer } from '../schemas.js';
import { type AppDeps, classifyEach, openForImages, whenGone } from './answer-image.js';
import { BatchBody } from './batch-body.js';
import { CLASSIFY_QUERY, IMAGE_ERRORS, single, timingsMs } from './classify.js';

export function batchRoute(deps: AppDeps): Route {
  return {
    method: 'post',
    path: '/classify/batch',
    handler: classifyBatch(deps),
    doc: {
      summary: `Classify up to ${deps.maxBatchImages} images; answers in order, each with its own error`,
      query: CLASSIFY_QUERY,
      body: {
        'multipart/form-data': z.object({ image: z.array(z.string().meta({ format: 'binary' })) }),
        'application/json': BatchBody,
      },
      answer: { 'application/json': BatchAnswer },
      errors: [
        ...IMAGE_ERRORS,
        'BAD_REQUEST',
        'BAD_FORM',
        'IMAGE_FIELD_MISSING',
        'INVALID_TOP',
        'MODEL_AMBIGUOUS',
        'BATCH_TOO_LARGE',
        'JSON_TOO_LARGE',
      ],
    },
  };
}

function classifyBatch(deps: AppDeps): RequestHandler {
  return async (request, response) => {
    const open = () => openForImages(deps, single(request.query, 'model'), single(request.query, 'version'));
    parseTop(request.query.top, open().model);
    const gone = whenGone(response);
    const images = await readImages(request, deps, gone);
    const host = open();
    const top = parseTop(request.query.top, host.model);
    const answers = await classifyEach(host, images.map(usable(deps.maxBytes)), gone);
    const { name, version, crops, activation } = host.model;
    response.json({
      model: { name, version },
      crops,
      multi_label: activation.multiLabel,
      results: answers.map((answer, i) => ({
        ...(images[i].name !== undefined && { image: images[i].name }),
        ...('reason' in answer ? refusal(answer.reason, response, deps) : predictionsOf(answer.value, top)),
      })),
    } satisfies z.infer<typeof BatchAnswer>);
  };
}

async function readImages(request: Request, deps: AppDeps, gone: AbortSignal): Promise<BatchImage[]> {
  const { maxBatchImages: max, maxBatchBytes } = deps;
  const body = await deps.uploads.read(request, maxBatchBytes, () => {
    return new RequestError('BATCH_TOO_LARGE', `the body has more than ${maxBatchBytes} bytes; send fewer images`);
  });
  const type = request.headers['content-type'] ?? '';
  if (/^multipart\/form-data\b/i.test(type)) return filesOfForm(body, type, ['image', 'image[]', 'images'], max);
  return deps.offLoop.run('batch', [body, max], body.length, gone);
}

/** @throws {RequestError} if the model need not be asked */
function usable(maxBytes: number) {
  return ({ bytes }: BatchImage) =>
    () => {
      if (!bytes) throw new RequestError('BAD_REQUEST', 'expected the image in base64');
      if (bytes.length > maxBytes) throw tooLarge(maxBytes);
      requireImage(bytes);
      return bytes;
    };
}

function predictionsOf({ probabilities, timings, model }: Classified, top: number) {
  return { predictions: topPredictions(probabilities, model, top), timings_ms: timingsMs(timings) };
}

function refusal(reason: unknown, response: Response, { log }: AppDeps) {
  const { code, message } = knownError(reason, response, log);
  return { error: { code, message } };
}
