/** A model as Triton's configuration and statistics extensions describe it (triton-inference-server/server, protocol). */
import type { z } from 'zod';
import type { ModelHost } from '../../hosting/model-host.js';
import type { TensorSpec } from '../../tensors.js';
import { MAX_IMAGES } from './request.js';
import type { ModelConfig, ModelStatistics } from './schemas.js';

/** @param versions  of the model that are served */
export function modelConfig(host: ModelHost, versions: readonly string[]): z.infer<typeof ModelConfig> {
  const { model, provider, settings } = host;
  const { name, input, outputs } = model;
  const rowsAreFree = [input, ...outputs].every(({ shape }) => shape[0] === -1);
  const described = ({ name, datatype, shape }: TensorSpec) => ({
    name,
    data_type: `TYPE_${datatype}`,
    dims: rowsAreFree ? shape.slice(1) : shape,
  });
  return {
    name,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    default_model_filename: 'model.onnx',
    version_policy: { specific: { versions: versions.map(Number) } },
    max_batch_size: rowsAreFree ? MAX_IMAGES : 0,
    input: [{ ...described(input), format: 'FORMAT_NONE' }],
    output: outputs.map((output) => ({ ...described(output), label_filename: '' })),
    instance_group: [
      { name: `${name}_0`, kind: provider === 'cpu' ? 'KIND_CPU' : 'KIND_GPU', count: settings.replicas },
    ],
    ...(settings.batch > 1 && {
      dynamic_batching: {
        preferred_batch_size: [settings.batch],
        max_queue_delay_microseconds: settings.batchDelayMs * 1000,
      },
    }),
    parameters: {},
  };
}

export function modelStatistics({ model, statistics }: ModelHost): z.infer<typeof ModelStatistics> {
  const { lastInference, inferenceCount, executionCount, requests, batches } = statistics;
  return {
    name: model.name,
    version: model.version,
    last_inference: lastInference,
    inference_count: inferenceCount,
    execution_count: executionCount,
    inference_stats: requests,
    batch_stats: [...batches].map(([batch_size, sums]) => ({ batch_size, ...sums })),
  };
}
