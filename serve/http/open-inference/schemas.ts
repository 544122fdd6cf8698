/**
 * Bodies of the Open Inference Protocol v2 (kserve/open-inference-protocol, inference_rest.md) with its extensions for
 * binary data and classes.
 */
import { z } from 'zod';
import { DATATYPES, type Datatype } from '../../tensors.js';

const names = Object.keys(DATATYPES) as [Datatype, ...Datatype[]];
/** BYTES: here, encoded images. */
const DatatypeSchema = z.enum([...names, 'BYTES']).meta({ id: 'Datatype' });
const Parameter = z.union([z.string(), z.number(), z.boolean()]);
const Parameters = z
  .record(z.string(), Parameter)
  .refine(
    (all) => !Object.keys(all).some((key) => key.startsWith('triton_')),
    'names that begin with triton_ are reserved',
  )
  .meta({ id: 'Parameters' });
/** Numbers, checked one by one where they are read: a schema over millions of them would take seconds. */
const Data = z.unknown().meta({
  description: 'Row-major, flat or nested; of BYTES, images in base64',
  type: 'array',
  items: {},
});
const Shape = z.array(z.int()).meta({ example: [1, 256, 256, 3] });

export const InferRequestBody = z
  .object({
    id: z.string().optional(),
    parameters: Parameters.optional(),
    inputs: z
      .array(
        z.object({
          name: z.string(),
          shape: Shape,
          datatype: DatatypeSchema,
          parameters: Parameters.optional(),
          data: Data.optional(),
        }),
      )
      .min(1),
    outputs: z
      .array(z.object({ name: z.string(), parameters: Parameters.optional() }))
      .min(1)
      .optional(),
  })
  .meta({ id: 'InferRequest' });
export type InferRequestBody = z.infer<typeof InferRequestBody>;

export const InferResponseBody = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().optional(),
    outputs: z.array(
      z.object({
        name: z.string(),
        shape: Shape,
        datatype: DatatypeSchema,
        parameters: Parameters.optional(),
        data: z.array(z.union([z.number(), z.string(), z.boolean()])).optional(),
      }),
    ),
  })
  .meta({ id: 'InferResponse' });
export type InferResponseBody = z.infer<typeof InferResponseBody>;
export type InferOutput = InferResponseBody['outputs'][number];

const TensorMetadata = z.object({
  name: z.string(),
  datatype: DatatypeSchema,
  shape: Shape.meta({ description: '-1: any length', example: [-1, 256, 256, 3] }),
});
export const ModelMetadata = z
  .object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(TensorMetadata),
    outputs: z.array(TensorMetadata),
    parameters: z.record(z.string(), Parameter).meta({ description: 'What computes, and what images become' }),
  })
  .meta({ id: 'ModelMetadata' });
export const ServerMetadata = z
  .object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) })
  .meta({ id: 'ServerMetadata' });
export const Models = z.object({ models: z.array(z.string()) });
export const Live = z.object({ live: z.boolean() });
export const Ready = z.object({ ready: z.boolean(), error: z.string().optional() });
export const ModelReady = z.object({ name: z.string(), ready: z.boolean() });
const ConfigTensor = z.object({
  name: z.string(),
  data_type: z.string().meta({ example: 'TYPE_UINT8' }),
  dims: Shape.meta({ description: 'Without the first axis if max_batch_size is not 0' }),
});
export const ModelConfig = z
  .object({
    name: z.string(),
    platform: z.string(),
    backend: z.string(),
    default_model_filename: z.string(),
    version_policy: z.object({ specific: z.object({ versions: z.array(z.int()) }) }),
    max_batch_size: z.int().min(0),
    input: z.array(ConfigTensor.extend({ format: z.string() })),
    output: z.array(ConfigTensor.extend({ label_filename: z.string() })),
    instance_group: z.array(z.object({ name: z.string(), kind: z.enum(['KIND_CPU', 'KIND_GPU']), count: z.int() })),
    dynamic_batching: z
      .object({ preferred_batch_size: z.array(z.int()), max_queue_delay_microseconds: z.int() })
      .optional()
      .meta({ description: 'If images share runs of the model' }),
    parameters: z.record(z.string(), z.object({ string_value: z.string() })),
  })
  .meta({ id: 'ModelConfig' });

const Sum = z.object({ count: z.int().min(0), ns: z.int().min(0) }).meta({ id: 'StatisticDuration' });
export const ModelStatistics = z
  .object({
    name: z.string(),
    version: z.string(),
    last_inference: z.int().meta({ description: 'Milliseconds since 1970; 0 for never' }),
    inference_count: z.int().meta({ description: 'Images and tensors that went through the model' }),
    execution_count: z.int().meta({ description: 'Runs of the model' }),
    inference_stats: z.object({
      success: Sum,
      fail: Sum,
      queue: Sum,
      compute_input: Sum.meta({ description: 'Decoding' }),
      compute_infer: Sum,
      compute_output: Sum,
      cache_hit: Sum,
      cache_miss: Sum,
    }),
    batch_stats: z.array(
      z.object({ batch_size: z.int(), compute_input: Sum, compute_infer: Sum, compute_output: Sum }),
    ),
  })
  .meta({ id: 'ModelStatistics' });
export const Statistics = z.object({ model_stats: z.array(ModelStatistics) });
export const IndexRequest = z.object({ ready: z.boolean().optional() });
export const Index = z.array(
  z.object({ name: z.string(), version: z.string(), state: z.string(), reason: z.string() }),
);
export const LoadRequest = z.object({
  parameters: z
    .record(z.string(), z.unknown())
    .refine(
      (all) => Object.keys(all).every((key) => key === 'unload_dependents'),
      'a model cannot be configured or sent with the request: put it in the repository',
    )
    .optional(),
});
export const ProtocolError = z.object({ error: z.string() });
