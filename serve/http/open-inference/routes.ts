/**
 * The Open Inference Protocol v2 (kserve/open-inference-protocol, inference_rest.md), as KServe and Triton answer it,
 * with Triton's extensions for binary data, classification, configuration, statistics and the model repository. In addition to the model's own
 * input, encoded images are taken as BYTES under its name.
 */
import type { Request, RequestHandler } from 'express';
import type { z } from 'zod';
import { toolVersion } from '../../../base/tool-version.js';
import { type ErrorCode, RequestError } from '../../errors.js';
import type { ModelHost } from '../../hosting/model-host.js';
import { widthLimit } from '../../hosting/width-limit.js';
import { requireImage } from '../../inference/image/image-kind.js';
import { bytesOf, type Tensor } from '../../tensors.js';
import { readJsonSized, readSmallJson, tooLarge } from '../body.js';
import { requireAdmin } from '../own/admin.js';
import { type AppDeps, openForImages, whenGone } from '../own/answer-image.js';
import { IMAGE_ERRORS } from '../own/classify.js';
import { parseBody } from '../parse-body.js';
import type { Protocol, Route, RouteDoc } from '../protocol.js';
import { modelConfig, modelStatistics } from './model-config.js';
import {
  Index,
  IndexRequest,
  InferRequestBody,
  InferResponseBody,
  Live,
  LoadRequest,
  ModelConfig,
  ModelMetadata,
  ModelReady,
  Models,
  ProtocolError,
  Ready,
  ServerMetadata,
  Statistics,
} from './schemas.js';

const HEADER_LENGTH = 'Inference-Header-Content-Length';
const EXTENSIONS = ['binary_tensor_data', 'classification', 'model_configuration', 'model_repository', 'statistics'];

type Json<T extends z.ZodType> = z.infer<T>;

export function openInference(deps: AppDeps): Protocol {
  return {
    name: 'Open Inference Protocol',
    description:
      'Version 2 as KServe and Triton speak it, with binary tensor data, classification and the model repository.',
    prefixes: ['/v2'],
    error: { schema: ProtocolError, body: ({ message }) => ({ error: message }) },
    routes: [
      ...serverRoutes(deps),
      ...['/v2/models/:model', '/v2/models/:model/versions/:version'].flatMap((path) => modelRoutes(deps, path)),
      ...repositoryRoutes(deps),
    ],
  };
}

const get = (path: string, handler: RequestHandler, doc: RouteDoc): Route => ({ method: 'get', path, handler, doc });

const json = (summary: string, schema: z.ZodType, errors: ErrorCode[] = []): RouteDoc => ({
  summary,
  answer: { 'application/json': schema },
  errors,
});

function serverRoutes(deps: AppDeps): Route[] {
  return [
    get(
      '/v2',
      (_request, response) =>
        void response.json({ name: 'alexnet', version: toolVersion(), extensions: EXTENSIONS } satisfies Json<
          typeof ServerMetadata
        >),
      json('What this server is', ServerMetadata),
    ),
    get(
      '/v2/health/live',
      (_request, response) => void response.json({ live: true } satisfies Json<typeof Live>),
      json('Whether the server runs', Live),
    ),
    get('/v2/health/ready', ready(deps), {
      ...json('Whether every model answers', Ready),
      others: { 503: { description: 'Not just now', schema: Ready } },
    }),
    get(
      '/v2/models',
      (_request, response) =>
        void response.json({ models: deps.models.all.map(({ model }) => model.name) } satisfies Json<typeof Models>),
      json('Names of the models', Models),
    ),
    get(
      '/v2/models/stats',
      (_request, response) =>
        void response.json({ model_stats: deps.models.served().map(modelStatistics) } satisfies Json<
          typeof Statistics
        >),
      json('What every version has answered since it was loaded', Statistics),
    ),
  ];
}

const FIND_ERRORS = ['MODEL_NOT_FOUND', 'MODEL_UNAVAILABLE'] as const;

/** @param path  of a model, or of a version of it */
function modelRoutes(deps: AppDeps, path: string): Route[] {
  return [
    get(path, metadata(deps), json('A model’s inputs and outputs', ModelMetadata, [...FIND_ERRORS])),
    get(`${path}/ready`, modelReady(deps), json('Whether a model answers', ModelReady, [...FIND_ERRORS, 'NOT_READY'])),
    get(`${path}/config`, config(deps), json('A model’s settings', ModelConfig, [...FIND_ERRORS])),
    get(
      `${path}/stats`,
      stats(deps),
      json('What a model has answered since it was loaded', Statistics, [...FIND_ERRORS]),
    ),
    {
      method: 'post',
      path: `${path}/infer`,
      handler: infer(deps),
      doc: {
        summary: 'Run the model on its own input, or on encoded images as BYTES',
        headers: {
          [HEADER_LENGTH]: {
            description:
              'Bytes of the JSON at the front of the body, the tensors’ bytes follow; 0: the body is the bytes of the only input, or an image',
          },
        },
        body: { 'application/json': InferRequestBody, 'application/octet-stream': 'binary' },
        answer: { 'application/json': InferResponseBody, 'application/octet-stream': 'binary' },
        errors: [...IMAGE_ERRORS, 'BAD_REQUEST', 'JSON_TOO_LARGE'],
      },
    },
  ];
}

function repositoryRoutes(deps: AppDeps): Route[] {
  return [
    {
      method: 'post',
      path: '/v2/repository/index',
      handler: index(deps),
      doc: {
        ...json('Every model and version with its state', Index, ['BAD_REQUEST', 'BODY_TOO_LARGE']),
        body: { 'application/json': IndexRequest },
      },
    },
    changeRoute(deps, 'load', {
      summary: 'Read a model’s versions from disk again; the old ones answer until the new ones do',
      errors: [...CHANGE_ERRORS, 'LOAD_FAILED'],
    }),
    changeRoute(deps, 'unload', {
      summary: 'Answer what is in line for a model, then end it',
      errors: [...CHANGE_ERRORS],
    }),
  ];
}

const CHANGE_ERRORS = ['BAD_REQUEST', 'BODY_TOO_LARGE', 'UNAUTHORIZED', 'ADMIN_OFF', 'MODEL_NOT_FOUND'] as const;

function changeRoute(deps: AppDeps, action: 'load' | 'unload', doc: RouteDoc): Route {
  return {
    method: 'post',
    path: `/v2/repository/models/:model/${action}`,
    handler: change(deps, action),
    doc: { ...doc, body: { 'application/json': LoadRequest }, guarded: true },
  };
}

function ready({ notReady }: AppDeps): RequestHandler {
  return (_request, response) => {
    const reason = notReady();
    const body: Json<typeof Ready> = reason === undefined ? { ready: true } : { ready: false, error: reason };
    response.status(body.ready ? 200 : 503).json(body);
  };
}

function modelOf(request: Request): { model: string; version?: string } {
  return request.params as { model: string; version?: string };
}

function metadata(deps: AppDeps): RequestHandler {
  return (request, response) => {
    const wanted = modelOf(request);
    const host = deps.models.find(wanted.model, wanted.version);
    const { name, version, input, outputs, crops, imagePx, imageHeight, activation } = host.model;
    response.json({
      name,
      versions: wanted.version === undefined ? deps.models.versions(name) : [version],
      platform: 'onnx_onnxv1',
      inputs: [input],
      outputs,
      parameters: {
        provider: host.provider,
        crops,
        image_px: imagePx,
        ...(imageHeight !== undefined && { image_height: imageHeight }),
        activation: activation.applied,
        activation_reason: activation.why,
        multi_label: activation.multiLabel,
      },
    } satisfies Json<typeof ModelMetadata>);
  };
}

function config(deps: AppDeps): RequestHandler {
  return (request, response) => {
    const { model, version } = modelOf(request);
    const host = deps.models.find(model, version);
    response.json(modelConfig(host, deps.models.versions(model)) satisfies Json<typeof ModelConfig>);
  };
}

function stats(deps: AppDeps): RequestHandler {
  return (request, response) => {
    const { model, version } = modelOf(request);
    const found = deps.models.find(model, version);
    const hosts = version === undefined ? deps.models.served(model) : [found];
    response.json({ model_stats: hosts.map(modelStatistics) } satisfies Json<typeof Statistics>);
  };
}

function modelReady(deps: AppDeps): RequestHandler {
  return (request, response) => {
    const { model, version } = modelOf(request);
    const host = deps.models.find(model, version);
    if (!host.isUp) throw new RequestError('NOT_READY', `model "${model}" is restarting`, 1);
    response.json({ name: model, ready: true } satisfies Json<typeof ModelReady>);
  };
}

function infer(deps: AppDeps): RequestHandler {
  return async (request, response) => {
    const wanted = modelOf(request);
    const open = () => openForImages(deps, wanted.model, wanted.version);
    open();
    const body = await readJsonSized(request, deps);
    const host = open();
    const gone = whenGone(response);
    const headerLength = request.get(HEADER_LENGTH);
    const sent = Number(headerLength ?? body.length);
    const jsonBytes = sent <= body.length ? sent : 0; // else it is refused
    const { id, input, outputs } = await deps.offLoop.run('infer', [body, headerLength, host.model], jsonBytes, gone);
    const { model, tensors } =
      'images' in input
        ? await classifyAll(host, input.images, gone, deps.maxBytes)
        : await runModel(host, input, outputs, gone);
    const size = tensors.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const { head, binary } = await deps.offLoop.run('answer', [tensors, outputs, model, id], size, gone);
    if (binary.length === 0) return void response.type('json').send(Buffer.from(head));
    response.set(HEADER_LENGTH, String(head.length)).type('application/octet-stream');
    response.send(Buffer.concat([head, ...binary]));
  };
}

async function runModel(host: ModelHost, input: Tensor, outputs: readonly { name: string }[], signal: AbortSignal) {
  const names = [...new Set(outputs.map(({ name }) => name))];
  const { model, outputs: tensors } = await host.run(input, names, signal);
  return { model, tensors };
}

/** Images of a request are answered together; the first that fails fails it. */
async function classifyAll(host: ModelHost, images: readonly Uint8Array[], signal: AbortSignal, maxBytes: number) {
  for (const bytes of images) {
    requireImage(bytes);
    if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  }
  host.requireRoom(); // the line may have filled up while the request was parsed
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  try {
    const limit = widthLimit(host);
    const answers = await Promise.all(
      images.map((bytes) => limit(() => host.classify(bytes, either, { isTaken: true }))),
    );
    const { model } = answers[0];
    if (answers.some((one) => one.model !== model && String(one.model.labels) !== String(model.labels)))
      throw new RequestError('INFERENCE_FAILED', 'the model was replaced between two of the images; send them again');
    const bytes = Buffer.concat(answers.map(({ probabilities }) => bytesOf(probabilities)));
    const shape = [images.length, model.labels.length];
    return { model, tensors: [{ name: model.answer, datatype: 'FP32', shape, bytes } satisfies Tensor] };
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}

function index(deps: AppDeps): RequestHandler {
  return async (request, response) => {
    const { ready: onlyReady } = parseBody(IndexRequest, await readSmallJson(request, deps));
    const entries = deps.models.index().filter(({ state }) => !onlyReady || state === 'READY');
    response.json(entries satisfies Json<typeof Index>);
  };
}

function change(deps: AppDeps, action: 'load' | 'unload'): RequestHandler {
  return async (request, response) => {
    requireAdmin(deps, request, response);
    parseBody(LoadRequest, await readSmallJson(request, deps));
    await deps.models[action](modelOf(request).model);
    response.status(200).end();
  };
}
