/** `POST /classify`: an image in, its most probable classes out. */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { READ_FORMATS } from '../../../base/image/formats.js';
import { namedCrops } from '../../crops.js';
import { RequestError } from '../../errors.js';
import type { Classified } from '../../hosting/model-host.js';
import type { Timings } from '../../metrics.js';
import { parseTop, topPredictions } from '../../served-model.js';
import { readImage } from '../body.js';
import { parseQuery } from '../parse-query.js';
import type { ErrorShape, Route } from '../protocol.js';
import { ClassifyAnswer, OwnError, Top } from '../schemas.js';
import { type AppDeps, answerImage, openForImages } from './answer-image.js';

/** Faults that any image may meet, on the routes of every protocol. */
export const IMAGE_ERRORS = [
  'EMPTY_BODY',
  'INVALID_IMAGE',
  'MODEL_NOT_FOUND',
  'MODEL_UNAVAILABLE',
  'IMAGE_TOO_LARGE',
  'IMAGE_TOO_MANY_PIXELS',
  'UNSUPPORTED_IMAGE_TYPE',
  'INFERENCE_FAILED',
  'QUEUE_FULL',
  'DEADLINE_EXCEEDED',
] as const;

/** Query parameters of the routes that classify. */
export const CLASSIFY_QUERY = {
  top: { description: 'Default: 5', schema: Top },
  model: { description: 'Needed if several models are served', schema: z.string() },
  version: { description: 'Default: the latest', schema: z.string() },
};

const BY_CROP = {
  by_crop: { description: '`true`: what each crop alone gives as well', schema: z.boolean().default(false) },
};

export const OWN_ERROR: ErrorShape = {
  schema: OwnError,
  body: ({ code, message }) => ({ error: { code, message } }),
};

export function classifyRoute(deps: AppDeps): Route {
  return {
    method: 'post',
    path: '/classify',
    handler: classify(deps),
    doc: {
      summary: `Classify a ${READ_FORMATS} image`,
      query: { ...CLASSIFY_QUERY, ...BY_CROP },
      body: {
        'image/*': 'binary',
        'application/octet-stream': 'binary',
        'multipart/form-data': z.object({ image: z.string().meta({ format: 'binary' }) }),
      },
      answer: { 'application/json': ClassifyAnswer },
      errors: [
        ...IMAGE_ERRORS,
        'BAD_REQUEST',
        'BAD_FORM',
        'IMAGE_FIELD_MISSING',
        'INVALID_TOP',
        'MODEL_AMBIGUOUS',
        'VIEW_UNAVAILABLE',
      ],
    },
  };
}

function classify(deps: AppDeps): RequestHandler {
  return async (request, response) => {
    const open = () => openForImages(deps, single(request.query, 'model'), single(request.query, 'version'));
    parseTop(request.query.top, open().model); // refuses before the inference
    const { by_crop: byCrop } = parseQuery(BY_CROP, request.query);
    const bytes = await readImage(request, deps);
    const classified = await answerImage(open(), bytes, response, { byCrop });
    const { probabilities, timings, model } = classified;
    const top = parseTop(request.query.top, model);
    response.json({
      predictions: topPredictions(probabilities, model, top),
      model: { name: model.name, version: model.version },
      crops: model.crops,
      multi_label: model.activation.multiLabel,
      timings_ms: timingsMs(timings),
      ...(byCrop && cropsOf(classified, top)),
    } satisfies z.infer<typeof ClassifyAnswer>);
  };
}

/** @throws {RequestError} VIEW_UNAVAILABLE */
function cropsOf({ model, byCrop }: Classified, top: number) {
  const crops = namedCrops(model);
  const classes = model.labels.length;
  if (!crops || byCrop?.length !== crops.length * classes) {
    throw new RequestError('VIEW_UNAVAILABLE', 'the file of this model does not give its crops one by one');
  }
  const answers = crops.map((crop, i) => {
    return { ...crop, predictions: topPredictions(byCrop.subarray(i * classes, (i + 1) * classes), model, top) };
  });
  return { image_px: model.imagePx, image_height: model.imageHeight, image_fit: model.fit, by_crop: answers };
}

/** @throws {RequestError} if a parameter is given twice */
export function single(query: Record<string, unknown>, name: string): string | undefined {
  const value = query[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new RequestError('BAD_REQUEST', `${name}: expected one text value`);
}

export function timingsMs({ queue, decode, inference, total }: Timings): Timings {
  const rounded = (ms: number) => Math.round(ms * 1000) / 1000;
  return { queue: rounded(queue), decode: rounded(decode), inference: rounded(inference), total: rounded(total) };
}
