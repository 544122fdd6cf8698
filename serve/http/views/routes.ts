/**
 * The views: what a network does with an image, and why. Computed by a process of their own, one at a time; see
 * hosting/view-host.ts.
 */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { RequestError } from '../../errors.js';
import { requireImage } from '../../inference/image/image-kind.js';
import type { ViewRequest } from '../../views/process/messages.js';
import { readImage } from '../body.js';
import { type AppDeps, whenGone } from '../own/answer-image.js';
import { OWN_ERROR } from '../own/classify.js';
import { type Parsed, parseQuery, type QueryDoc } from '../parse-query.js';
import type { Protocol, Route, RouteDoc } from '../protocol.js';
import { LabelsAnswer, labels, MODEL, text } from './labels.js';
import {
  GraphAnswer,
  Layers,
  LrnAnswer,
  MetadataAnswer,
  Neighbours,
  OcclusionLine,
  Stats,
  Strongest,
} from './schemas.js';
import { type SendView, sendLines, sendWhole } from './send-view.js';
import { stats } from './stats.js';

const Whole = z.int().min(0);
const wanted = (description: string) => ({ description, schema: Whole });
const optional = (description: string) => ({ description, schema: Whole.optional() });

const CROP = { crop: optional('Position in `crops` of /explain/layers; default: the centre') };
const LAYER = { layer: { description: 'Name of a layer', schema: z.string().max(200) } };
const ERRORS = [
  'BAD_REQUEST',
  'VIEW_UNAVAILABLE',
  'MODEL_NOT_FOUND',
  'MODEL_UNAVAILABLE',
  'VIEW_FAILED',
  'VIEWS_BUSY',
] as const;
const OF_IMAGE = [
  'EMPTY_BODY',
  'INVALID_IMAGE',
  'IMAGE_TOO_LARGE',
  'IMAGE_TOO_MANY_PIXELS',
  'UNSUPPORTED_IMAGE_TYPE',
] as const;
const BINARY = { 'application/octet-stream': 'binary' } as const;

const PNG = { 'image/png': 'binary' } as const;

const json = (schema: z.ZodType) => ({ 'application/json': schema });

/** A view of the engine as a route. */
interface View<T extends QueryDoc> {
  /** `post` if the body is an image. */
  method: 'get' | 'post';
  name: string;
  summary: string;
  answer: RouteDoc['answer'];
  /** Besides the model. */
  query: T;
  request: (query: Parsed<T>, bytes: Uint8Array) => ViewRequest;
  /** Default: as a whole. */
  send?: SendView;
}

function view<T extends QueryDoc>({ method, name, summary, answer, query, request, send = sendWhole }: View<T>) {
  const ofImage = method === 'post';
  return (deps: AppDeps): Route => ({
    method,
    path: `/explain/${name}`,
    handler: show(deps, query, request, send),
    doc: {
      summary,
      query: { ...query, ...MODEL },
      answer,
      ...(ofImage && { body: { 'image/*': 'binary', ...BINARY } }),
      errors: [...ERRORS, ...(ofImage ? OF_IMAGE : [])],
    },
  });
}

const VIEWS: readonly ((deps: AppDeps) => Route)[] = [
  view({
    method: 'get',
    name: 'layers',
    summary: 'The layer table with the size formula filled in',
    answer: json(Layers),
    query: {},
    request: () => ({ view: 'layers' }),
  }),
  view({
    method: 'get',
    name: 'graph',
    summary: 'The graph as nodes and values',
    answer: json(GraphAnswer),
    query: {},
    request: () => ({ view: 'graph' }),
  }),
  view({
    method: 'get',
    name: 'metadata',
    summary: 'What the file says of itself',
    answer: json(MetadataAnswer),
    query: {},
    request: () => ({ view: 'metadata' }),
  }),
  view({
    method: 'post',
    name: 'picture',
    summary: 'The image, or a crop of it, as the network sees it',
    answer: PNG,
    query: { crop: optional('Position in `crops` of /explain/layers; default: the whole square') },
    request: (query, bytes) => ({ view: 'picture', bytes, ...query }),
  }),
  view({
    method: 'post',
    name: 'activations',
    summary: 'Values of layers for one crop, as safetensors',
    answer: BINARY,
    query: { ...CROP, layers: text('Names with commas between; default: all') },
    request: ({ crop, layers }, bytes) => ({ view: 'activations', bytes, crop, layers: namesOf(layers) }),
  }),
  view({
    method: 'post',
    name: 'lrn',
    summary: 'Response normalisation at one place',
    answer: json(LrnAnswer),
    query: {
      ...LAYER,
      ...CROP,
      channel: optional('Default: where the largest value is'),
      y: optional('Default: where the largest value of the channel is'),
      x: optional('As y'),
    },
    request: (query, bytes) => ({ view: 'lrn', bytes, ...query }),
  }),
  view({
    method: 'get',
    name: 'kernels',
    summary: 'Kernels of the layer that reads colours',
    answer: { ...PNG, 'image/svg+xml': 'text', ...BINARY },
    query: {
      layer: text('Default: the first that reads colours'),
      format: { description: 'Default: png', schema: z.enum(['png', 'svg', 'safetensors']).default('png') },
    },
    request: (query) => ({ view: 'kernels', ...query }),
  }),
  view({
    method: 'post',
    name: 'occlusion',
    summary: 'The probability of a class while a patch of the mean colour covers each place of a crop',
    answer: { 'application/x-ndjson': OcclusionLine },
    query: {
      ...CROP,
      class: optional('Default: the most probable class'),
      patch: optional('Side in pixels; default: a seventh of the crop'),
      stride: optional('Pixels from one place to the next; default: half a patch'),
    },
    request: (query, bytes) => ({ view: 'occlusion', bytes, ...query }),
    send: sendLines,
  }),
  view({
    method: 'post',
    name: 'neighbours',
    summary: 'Nearest images of the index in the features of the last hidden layer',
    answer: json(Neighbours),
    query: { k: { description: 'How many; default: 9', schema: z.int().min(1).max(50).default(9) } },
    request: ({ k }, bytes) => ({ view: 'neighbours', bytes, k }),
  }),
  view({
    method: 'get',
    name: 'strongest',
    summary: 'Images of the index that excite a unit most',
    answer: json(Strongest),
    query: { ...LAYER, channel: wanted('Channel of the layer, or unit') },
    request: (query) => ({ view: 'strongest', ...query }),
  }),
];

export function viewRoutes(deps: AppDeps): Protocol {
  return {
    name: 'Views',
    description: 'What the network does with an image, and why; one view at a time, after classification.',
    prefixes: ['/explain'],
    strictQuery: true,
    error: OWN_ERROR,
    routes: [
      ...VIEWS.map((route) => route(deps)),
      {
        method: 'get',
        path: '/explain/labels',
        handler: labels(deps),
        doc: {
          summary: 'What the model knows',
          query: MODEL,
          answer: json(LabelsAnswer),
          errors: ['BAD_REQUEST', 'MODEL_NOT_FOUND', 'MODEL_AMBIGUOUS', 'MODEL_UNAVAILABLE', 'NOT_READY'],
        },
      },
      {
        method: 'get',
        path: '/explain/stats',
        handler: stats(deps),
        doc: { summary: 'What the server counts, as JSON to be sampled', answer: json(Stats) },
      },
    ],
  };
}

function show<T extends QueryDoc>(
  deps: AppDeps,
  own: T,
  toRequest: (query: Parsed<T>, bytes: Uint8Array) => ViewRequest,
  send: SendView,
): RequestHandler {
  return async (request, response) => {
    const open = () => {
      if (deps.draining()) throw new RequestError('SHUTTING_DOWN', undefined, 1);
      const { model, version } = parseQuery(MODEL, request.query);
      const host = deps.models.find(model, version);
      host.views.requireRoom();
      return host;
    };
    open();
    const query = parseQuery(own, request.query);
    const bytes = request.method === 'POST' ? await readImage(request, deps) : Buffer.alloc(0);
    if (request.method === 'POST') requireImage(bytes);
    const host = open();
    await send(response, host, host.views.view(toRequest(query, bytes), whenGone(response)), deps.log);
  };
}

function namesOf(list: string | undefined): string[] | undefined {
  return list === undefined || list === 'all' ? undefined : list.split(',');
}
