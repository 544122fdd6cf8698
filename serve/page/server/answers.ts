/** The shapes that the server answers with. */

export interface ModelRef {
  name: string;
  version: string;
}

export interface Prediction {
  index: number;
  label: string;
  synset?: string;
  probability: number;
}

/** A window of the square picture that the network looks at. */
export interface Crop {
  name: string;
  top: number;
  left: number;
  size: number;
  mirror: boolean;
}

export interface Classified {
  predictions: Prediction[];
  model: ModelRef;
  crops: number;
  timings_ms: { queue: number; decode: number; inference: number; total: number };
  image_px: number;
  by_crop: (Crop & { predictions: Prediction[] })[];
}

export interface Layer {
  name: string;
  op: string;
  activation?: string;
  input: number[];
  output: number[];
  window?: { kernel: number[]; strides: number[]; pads: number[]; dilations: number[]; groups: number };
  formula?: string;
  lrn?: { size: number; alpha: number; beta: number; bias: number };
  parameters: number;
  macs: number;
  receptive_field?: { size: number; stride: number; start: number };
  views: ('activations' | 'kernels' | 'strongest' | 'lrn')[];
}

export interface Layers {
  model: ModelRef;
  image_px: number;
  input: { name: string; shape: number[] };
  crops: Crop[];
  centre: number;
  layers: Layer[];
  totals: { parameters: number; macs: number };
  unavailable: string[];
}

export interface Normalised {
  layer: string;
  input: string;
  channel: number;
  y: number;
  x: number;
  shape: number[];
  lrn: { size: number; alpha: number; beta: number; bias: number };
  neighbours: { channel: number; before: number; square: number; after: number }[];
  sum_of_squares: number;
  scale: number;
  denominator: number;
  before: number;
  after: number;
  formula: string;
  filled: string;
}

export interface Strongest {
  layer: string;
  channel: number;
  indexed: number;
  strongest: {
    name: string;
    label: string;
    value: number;
    y?: number;
    x?: number;
    field?: { top: number; left: number; height: number; width: number };
    image_px: number;
    thumbnail: string;
  }[];
}

export interface OcclusionStart {
  type: 'start';
  class: { index: number; label: string };
  probability: number;
  image_px: number;
  crop: Crop;
  patch: number;
  stride: number;
  rows: number;
  columns: number;
  y: number[];
  x: number[];
  total: number;
}

export type OcclusionLine =
  | OcclusionStart
  | { type: 'progress'; first: number; probabilities: number[]; tops: number[]; done: number; total: number }
  | { type: 'end'; lowest: { row: number; column: number; probability: number }; inference_ms: number }
  | { type: 'error'; error: { code: string; message: string } };

export interface Neighbours {
  layer: string;
  dimension: number;
  metric: string;
  method: 'exact' | 'hnsw';
  indexed: number;
  data: string;
  neighbours: { name: string; label: string; distance: number; thumbnail?: string }[];
}

export interface Graph {
  name: string;
  inputs: { name: string; type: string; shape: (number | string)[] }[];
  outputs: { name: string; type: string; shape: (number | string)[] }[];
  nodes: {
    name: string;
    op: string;
    domain: string;
    inputs: string[];
    outputs: string[];
    attributes: Record<string, unknown>;
    shape?: (number | string)[];
  }[];
  initializers: { name: string; type: string; dims: number[] }[];
  layers: Record<string, string[]>;
}

export interface Metadata {
  bytes: number;
  sha256: string;
  opset: number;
  ir: number;
  producer: string;
  doc: string;
  metadata: Record<string, unknown>;
  provider: string;
}

export interface ModelStats {
  name: string;
  version: string;
  provider: string;
  up: boolean;
  pending: number;
  answered: number;
  failed: number;
  runs: number;
  cache_hits: number;
  cache_misses: number;
  total_us: number;
  queue_us: number;
  decode_us: number;
  inference_us: number;
  views: { process: 'none' | 'starting' | 'up'; running: string | null; waiting: number };
  index: { data: string; indexed: number } | null;
}

export interface Stats {
  time_ms: number;
  uptime_s: number;
  memory_bytes: number;
  models: ModelStats[];
  latency: { route: string; count: number; sum_s: number; buckets: { le: number | null; count: number }[] };
}
