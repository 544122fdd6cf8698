/** Answers of the views; what the views show is in docs/serve.md. */
import { z } from 'zod';
import { CropSchema, PredictionSchema, Probability } from '../schemas.js';

const Whole = z.int().min(0);
const Shape = z
  .array(Whole)
  .meta({ description: 'Of one crop: [channels, height, width] or [units]', example: [96, 55, 55] });
const Type = z.object({ name: z.string(), type: z.string(), shape: z.array(z.union([z.number(), z.string()])) });
const Lrn = z.object({ size: z.number(), alpha: z.number(), beta: z.number(), bias: z.number() }).meta({ id: 'Lrn' });
const Image = z.string().optional().meta({ description: 'data: URL of a JPEG', example: 'data:image/jpeg;base64,…' });

const Layer = z
  .object({
    name: z.string(),
    op: z.string(),
    activation: z.string().optional(),
    input: Shape,
    output: Shape,
    window: z
      .object({
        kernel: z.array(z.number()),
        strides: z.array(z.number()),
        pads: z.array(z.number()).meta({ description: 'Top, left, bottom, right' }),
        dilations: z.array(z.number()),
        groups: z.number(),
      })
      .optional(),
    formula: z.string().optional().meta({ example: '(W − F + 2P) / S + 1 = (227 − 11 + 2·0) / 4 + 1 = 55' }),
    parameters: Whole,
    macs: Whole.meta({ description: 'Multiply-adds' }),
    lrn: Lrn.optional(),
    receptive_field: z
      .object({ size: z.number(), stride: z.number(), start: z.number() })
      .optional()
      .meta({ description: 'Unit (y, x) sees the crop from start + stride · y on, size pixels' }),
    views: z.array(z.string()),
  })
  .meta({ id: 'Layer' });

export const Layers = z
  .object({
    model: z.object({ name: z.string(), version: z.string() }),
    image_px: Whole,
    input: z.object({ name: z.string(), shape: Shape }),
    preparation: z.string().optional().meta({
      description: 'What each level x of a pixel becomes before the first layer, where that is known',
      example: '(x / 255 − [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]',
    }),
    crops: z.array(CropSchema),
    centre: Whole.meta({ description: 'Position of the centre crop in crops' }),
    layers: z.array(Layer),
    totals: z.object({ parameters: Whole, macs: Whole }),
    unavailable: z.array(z.string()),
  })
  .meta({ id: 'Layers' });

export const LrnAnswer = z
  .object({
    layer: z.string(),
    input: z.string(),
    crop: Whole,
    channel: Whole,
    y: Whole,
    x: Whole,
    shape: Shape,
    lrn: Lrn,
    neighbours: z.array(z.object({ channel: Whole, before: z.number(), square: z.number(), after: z.number() })),
    sum_of_squares: z.number(),
    scale: z.number(),
    denominator: z.number(),
    before: z.number(),
    after: z.number(),
    formula: z.string(),
    filled: z.string(),
  })
  .meta({ id: 'LrnAnswer' });

const Class = PredictionSchema.omit({ probability: true });
export const OcclusionLine = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('start'),
      class: Class,
      probability: Probability,
      image_px: Whole,
      crop: CropSchema,
      patch: Whole,
      stride: Whole,
      rows: Whole,
      columns: Whole,
      y: z.array(Whole).meta({ description: 'First pixel of each row of patches within the crop' }),
      x: z.array(Whole),
      total: Whole,
    }),
    z.object({
      type: z.literal('progress'),
      first: Whole,
      probabilities: z.array(Probability).meta({ description: 'Of the class, row by row' }),
      tops: z.array(Whole).meta({ description: 'The most probable class with the patch there' }),
      done: Whole,
      total: Whole,
    }),
    z.object({
      type: z.literal('end'),
      lowest: z.object({ row: Whole, column: Whole, probability: Probability }),
      inference_ms: z.number(),
    }),
    z.object({ type: z.literal('error'), error: z.object({ code: z.string(), message: z.string() }) }),
  ])
  .meta({ id: 'OcclusionLine', description: 'One JSON value per line: start, progress …, end; or error' });

const Known = { name: z.string(), label: z.string(), thumbnail: Image };
export const Neighbours = z
  .object({
    layer: z.string(),
    dimension: Whole,
    metric: z.string(),
    method: z.enum(['exact', 'hnsw']).meta({ description: 'hnsw: candidates approximate, distances exact' }),
    indexed: Whole,
    data: z.string(),
    neighbours: z.array(z.object({ ...Known, distance: z.number() })),
  })
  .meta({ id: 'Neighbours' });

export const Strongest = z
  .object({
    layer: z.string(),
    channel: Whole,
    indexed: Whole,
    strongest: z.array(
      z.object({
        ...Known,
        value: z.number(),
        y: Whole,
        x: Whole,
        field: z
          .object({ top: Whole, left: Whole, height: Whole, width: Whole })
          .optional()
          .meta({ description: 'What the unit sees, pixels of the square of image_px' }),
        image_px: Whole,
      }),
    ),
  })
  .meta({ id: 'Strongest' });

export const GraphAnswer = z
  .object({
    name: z.string(),
    inputs: z.array(Type),
    outputs: z.array(Type),
    nodes: z.array(
      z.object({
        name: z.string(),
        op: z.string(),
        domain: z.string(),
        inputs: z.array(z.string()),
        outputs: z.array(z.string()),
        attributes: z.record(z.string(), z.unknown()),
        shape: z.array(z.union([z.number(), z.string()])).optional(),
      }),
    ),
    initializers: z.array(z.object({ name: z.string(), type: z.string(), dims: z.array(z.number()) })),
    layers: z.record(z.string(), z.array(z.string())).meta({ description: 'Values of the nodes of each layer' }),
  })
  .meta({ id: 'Graph' });

export const MetadataAnswer = z
  .object({
    bytes: Whole,
    sha256: z.string(),
    opset: Whole,
    ir: Whole,
    producer: z.string(),
    doc: z.string(),
    metadata: z.record(z.string(), z.unknown()),
    provider: z.string(),
    activation: z.string().meta({ description: 'What is done with the values of the output, and why' }),
  })
  .meta({ id: 'FileMetadata' });

export const Stats = z
  .object({
    time_ms: z.number(),
    uptime_s: z.number(),
    memory_bytes: Whole.meta({ description: 'Resident, of the process that answers' }),
    models: z.array(
      z.object({
        name: z.string(),
        version: z.string(),
        since_ms: z.number().meta({ description: 'When it was loaded, milliseconds since 1970' }),
        provider: z.string(),
        up: z.boolean(),
        pending: Whole.meta({ description: 'Requests that a client waits for' }),
        answered: Whole,
        failed: Whole,
        runs: Whole,
        cache_hits: Whole,
        cache_misses: Whole,
        total_us: Whole,
        queue_us: Whole,
        decode_us: Whole,
        inference_us: Whole,
        views: z.object({ process: z.enum(['none', 'up']), running: z.string().nullable(), waiting: Whole }),
        index: z.boolean().meta({ description: 'The server was started with an index' }),
      }),
    ),
    left_out: z
      .array(z.object({ name: z.string(), version: z.string(), reason: z.string() }))
      .meta({ description: 'Models that could not be loaded, and why; version "" for all of a model' }),
    latency: z.object({
      route: z.string(),
      count: Whole,
      sum_s: z.number(),
      buckets: z
        .array(z.object({ le: z.number().nullable(), count: Whole }))
        .meta({ description: 'Cumulative; le in seconds' }),
    }),
  })
  .meta({ id: 'Stats' });
