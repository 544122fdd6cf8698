/**
 * TorchServe's inference API (pytorch.org/serve, rest_api): `curl -T cat.jpg URL/predictions/alexnet` gives five labels with their
 * probabilities, most probable first.
 */
import { type ErrorRequestHandler, type RequestHandler, Router } from 'express';
import { RequestError, requestError } from '../errors.js';
import { type Prediction, parseTop, topPredictions } from '../served-model.js';
import { type AppDeps, answerPicture, openForPictures, requireModel } from './answer-picture.js';
import { readPicture } from './body.js';

/** Fields of a form that may hold the picture. */
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

export function torchServe(deps: AppDeps): Router {
  const router = Router();
  router.get('/ping', (_request, response) => {
    const unhealthy = deps.notReady() !== undefined;
    response.status(unhealthy ? 500 : 200).json({ status: unhealthy ? 'Unhealthy' : 'Healthy' });
  });
  const predictions = Router({ mergeParams: true });
  for (const path of ['/:model', '/:model/:version']) {
    predictions
      .route(path)
      .put(predict(deps))
      .post(predict(deps))
      .all((request, response) => {
        response.set('allow', 'PUT, POST');
        throw new RequestError('METHOD_NOT_ALLOWED', `predictions answers PUT, POST, not ${request.method}`);
      });
  }
  predictions.use(answerError(deps));
  router.use('/predictions', predictions);
  return router;
}

function predict(deps: AppDeps): RequestHandler<{ model: string; version?: string }> {
  return async (request, response) => {
    const loaded = openForPictures(deps);
    requireModel(loaded, { name: request.params.model, version: request.params.version });
    const bytes = await readPicture(request, deps.maxBytes, FIELDS);
    const { probabilities, model } = await answerPicture(deps, bytes, response);
    response.type('json').send(dictionary(topPredictions(probabilities, model, parseTop(undefined, model))));
  };
}

/**
 * Label → probability as JSON text: an object would put labels that look like numbers first, and keep one of two equal labels. Those get
 * their synset, or their index, in front.
 */
function dictionary(predictions: readonly Prediction[]): string {
  const isTwice = (label: string) => predictions.filter((other) => other.label === label).length > 1;
  const entries = predictions.map(({ label, synset, index, probability }) => {
    const key = isTwice(label) ? `${synset ?? index} ${label}` : label;
    return `${JSON.stringify(key)}:${probability}`;
  });
  return `{${entries.join(',')}}`;
}

function answerError({ log }: AppDeps): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    if (response.headersSent || request.socket.destroyed) return;
    const { status, message } = requestError(error, response, log);
    response.status(status).json({ code: status, type: EXCEPTIONS[status] ?? 'BadRequestException', message });
  };
}
