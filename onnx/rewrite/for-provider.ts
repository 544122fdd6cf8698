/** A model as a provider computes it fastest, and right. Only the model in memory changes. */
import type { Provider } from '../backend/provider.js';
import { rewriteCodedLrn } from './coded-lrn.js';
import { rewriteConvolutions } from './convolutions.js';
import { rewriteLrn } from './lrn.js';

type ModelProto = import('onnx-proto').onnx.IModelProto;

/** CUDA has a fast LRN. */
const REWRITES: Record<Provider, (model: ModelProto) => ModelProto> = {
  cpu: (model) => rewriteLrn(rewriteCodedLrn(model)).model,
  webgpu: (model) => rewriteConvolutions(rewriteLrn(model).model),
  cuda: (model) => model,
};

export function rewriteFor(provider: Provider, model: ModelProto): ModelProto {
  return REWRITES[provider](model);
}
