/**
 * TorchServe's inference API (pytorch.org/serve, rest_api): `curl -T cat.jpg URL/predictions/alexnet` gives five labels
 * with their probabilities, most probable first. Of its management API, what reads; on the same port.
 */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { type Prediction, parseTop, topPredictions } from '../served-model.js';
import { readImage } from './body.js';
import { type AppDeps, answerImage, openForImages } from './own/answer-image.js';
import { IMAGE_ERRORS } from './own/classify.js';
import type { Protocol, Route } from './protocol.js';
import { Probability } from './schemas.js';
import { managementRoutes } from './torchserve-management.js';

/** Fields of a form that may hold the image. */
const FIELDS = ['data', 'body'];

/** Names of its Java exceptions, by HTTP status. */
const EXCEPTIONS: Record<number, string> = {
  404: 'ModelNotFoundException',
  405: 'MethodNotAllowedException',
  413: 'RequestEntityTooLargeException',
  500: 'InternalServerException',
  503: 'ServiceUnavailableException',
  504: 'InternalServerException',
};

const Labels = z.record(z.string(), Probability).meta({
  description: 'Probabilities by label, most probable first',
  example: { 'tabby, tabby cat': 0.52, 'Egyptian cat': 0.21 },
});
const ErrorBody = z.object({ code: z.int(), type: z.string(), message: z.string() }).meta({
  id: 'TorchServeError',
  example: { code: 404, type: 'ModelNotFoundException', message: 'no model "x" here' },
});
const Health = z.object({ status: z.enum(['Healthy', 'Unhealthy']) });

export function torchServe(deps: AppDeps): Protocol {
  const predictions = ['/predictions/:model', '/predictions/:model/:version'].flatMap((path) =>
    (['put', 'post'] as const).map(
      (method): Route => ({
        method,
        path,
        handler: predict(deps) as RequestHandler,
        doc: {
          summary: 'Five labels with their probabilities',
          body: {
            'application/octet-stream': 'binary',
            'multipart/form-data': z.object({ data: z.string().meta({ format: 'binary' }) }),
          },
          answer: { 'application/json': Labels },
          errors: [...IMAGE_ERRORS, 'BAD_FORM', 'IMAGE_FIELD_MISSING'],
        },
      }),
    ),
  );
  const ping: Route = {
    method: 'get',
    path: '/ping',
    handler: (_request, response) => {
      const unhealthy = deps.notReady() !== undefined;
      const body: z.infer<typeof Health> = { status: unhealthy ? 'Unhealthy' : 'Healthy' };
      response.status(unhealthy ? 500 : 200).json(body);
    },
    doc: {
      summary: 'Whether images are answered',
      answer: { 'application/json': Health },
      others: { 500: { description: 'Not just now', schema: Health } },
    },
  };
  return {
    name: 'TorchServe',
    description: 'As TorchServe’s inference API: `curl -T cat.jpg URL/predictions/alexnet`.',
    prefixes: ['/predictions'],
    error: {
      schema: ErrorBody,
      body: ({ status, message }) => ({ code: status, type: EXCEPTIONS[status] ?? 'BadRequestException', message }),
    },
    routes: [ping, ...predictions, ...managementRoutes(deps)],
  };
}

function predict(deps: AppDeps): RequestHandler<{ model: string; version?: string }> {
  return async (request, response) => {
    const open = () => openForImages(deps, request.params.model, request.params.version);
    open();
    const bytes = await readImage(request, deps, FIELDS);
    const { probabilities, model } = await answerImage(open(), bytes, response);
    response.type('json').send(dictionary(topPredictions(probabilities, model, parseTop(undefined, model))));
  };
}

/**
 * Label → probability as JSON text: an object would put labels that look like numbers first, and keep one of two equal
 * labels. Those get their synset, or their index, in front.
 */
function dictionary(predictions: readonly Prediction[]): string {
  const isTwice = (label: string) => predictions.filter((other) => other.label === label).length > 1;
  const entries = predictions.map(({ label, synset, index, probability }) => {
    const key = isTwice(label) ? `${synset ?? index} ${label}` : label;
    return `${JSON.stringify(key)}:${probability}`;
  });
  return `{${entries.join(',')}}`;
}
