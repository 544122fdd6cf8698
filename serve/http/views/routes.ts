/** The views: what a network does with an image, and why. Computed by a process of their own, one at a time; see hosting/view-host.ts. */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import { RequestError } from '../../errors.js';
import { requirePicture } from '../../inference/image/picture-kind.js';
import type { ViewRequest } from '../../views/process/messages.js';
import { readPicture } from '../body.js';
import { type AppDeps, whenGone } from '../own/answer-picture.js';
import { OWN_ERROR } from '../own/classify.js';
import { type Parsed, parseQuery, type QueryDoc } from '../parse-query.js';
import type { Protocol, Route, RouteDoc } from '../protocol.js';
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
const text = (description: string) => ({ description, schema: z.string().max(200).optional() });

const MODEL = { model: text('Needed if several models are served'), version: text('Default: the latest') };
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
const OF_PICTURE = ['EMPTY_BODY', 'INVALID_IMAGE', 'IMAGE_TOO_LARGE', 'UNSUPPORTED_IMAGE_TYPE'] as const;
const BINARY = { 'application/octet-stream': 'binary' } as const;

export function explainRoutes(deps: AppDeps): Protocol {
  const view = <T extends QueryDoc>(
    method: 'get' | 'post',
    name: string,
    summary: string,
    answer: RouteDoc['answer'],
    own: T,
    request: (query: Parsed<T>, bytes: Uint8Array) => ViewRequest,
    send: SendView = sendWhole,
  ): Route => ({
    method,
    path: `/explain/${name}`,
    handler: show(deps, own, request, send),
    doc: {
      summary,
      query: { ...own, ...MODEL },
      answer,
      ...(method === 'post' && { body: { 'image/*': 'binary', ...BINARY } }),
      errors: [...ERRORS, ...(method === 'post' ? OF_PICTURE : [])],
    },
  });
  const json = (schema: z.ZodType) => ({ 'application/json': schema });
  return {
    name: 'Views',
    description: 'What the network does with an image, and why; one view at a time, after classification.',
    prefixes: ['/explain'],
    error: OWN_ERROR,
    routes: [
      view('get', 'layers', 'The layer table with the size formula filled in', json(Layers), {}, () => ({
        view: 'layers',
      })),
      view('get', 'graph', 'The graph as nodes and values', json(GraphAnswer), {}, () => ({ view: 'graph' })),
      view('get', 'metadata', 'What the file says of itself', json(MetadataAnswer), {}, () => ({ view: 'metadata' })),
      view(
        'post',
        'picture',
        'The image, or a crop of it, as the network sees it',
        { 'image/png': 'binary' },
        { crop: optional('Position in `crops` of /explain/layers; default: the whole square') },
        (query, bytes) => ({ view: 'picture', bytes, ...query }),
      ),
      view(
        'post',
        'activations',
        'Values of layers for one crop, as safetensors',
        BINARY,
        { ...CROP, layers: text('Names with commas between; default: all') },
        ({ crop, layers }, bytes) => ({ view: 'activations', bytes, crop, layers: namesOf(layers) }),
      ),
      view(
        'post',
        'lrn',
        'Response normalisation at one place',
        json(LrnAnswer),
        {
          ...LAYER,
          ...CROP,
          channel: optional('Default: where the largest value is'),
          y: optional('As channel'),
          x: optional('As channel'),
        },
        (query, bytes) => ({ view: 'lrn', bytes, ...query }),
      ),
      view(
        'get',
        'kernels',
        'Kernels of the layer that reads colours',
        { 'image/png': 'binary', 'image/svg+xml': 'text', ...BINARY },
        {
          layer: text('Default: the first that reads colours'),
          format: { description: 'Default: png', schema: z.enum(['png', 'svg', 'safetensors']).default('png') },
        },
        (query) => ({ view: 'kernels', ...query }),
      ),
      view(
        'post',
        'occlusion',
        'The probability of a class while a grey patch covers each place of a crop',
        { 'application/x-ndjson': OcclusionLine },
        {
          ...CROP,
          class: optional('Default: the most probable class'),
          patch: optional('Side in pixels; default: a seventh of the crop'),
          stride: optional('Pixels from one place to the next; default: half a patch'),
        },
        (query, bytes) => ({ view: 'occlusion', bytes, ...query }),
        sendLines,
      ),
      view(
        'post',
        'neighbours',
        'Nearest images of the index in the features of the last hidden layer',
        json(Neighbours),
        { k: { description: 'How many; default: 9', schema: z.int().min(1).max(50).default(9) } },
        ({ k }, bytes) => ({ view: 'neighbours', bytes, k }),
      ),
      view(
        'get',
        'strongest',
        'Images of the index that excite a unit most',
        json(Strongest),
        { ...LAYER, channel: wanted('Channel of the layer, or unit') },
        (query) => ({ view: 'strongest', ...query }),
      ),
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
    const bytes = request.method === 'POST' ? await readPicture(request, deps) : Buffer.alloc(0);
    if (request.method === 'POST') requirePicture(bytes);
    const host = open();
    await send(response, host, host.views.view(toRequest(query, bytes), whenGone(response)), deps.log);
  };
}

function namesOf(list: string | undefined): string[] | undefined {
  return list === undefined || list === 'all' ? undefined : list.split(',');
}
