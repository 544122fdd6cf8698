/** `alexnet/model`: the networks as TensorFlow.js models, their tables, and what prepares their input. */

export { CROP_COUNTS, type Crop, type CropCount, centreCrop, cropsOf, tenCrops } from '../base/crops.js';
export { ShapeError, UserError } from '../base/errors.js';
export { GroupedConv2D } from './conv-layer.js';
export { reseedDropout, SeededDropout } from './dropout.js';
export type { BuildOptions } from './geometry.js';
export { groupedConv2d } from './grouped-conv2d.js';
export { LocallyConnected2D } from './local-layer.js';
export { LocalResponseNormalization } from './lrn.js';
export { buildNetwork } from './network.js';
export { findNetwork, NETWORKS } from './registry.js';
export type { LayerRow, LrnConvention, NetworkName, NetworkSpec, Recipe } from './spec.js';
export { type LayerSummary, type Summary, summarize } from './summary.js';
export { WithinMapNorm } from './within-map-norm.js';
