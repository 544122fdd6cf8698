/**
 * Static quantisation to eight bits in the QDQ form (onnxruntime and other engines join `DequantizeLinear`, operator
 * and `QuantizeLinear` to one integer operator): activations uint8 with a scale a tensor, weights int8 with a scale an
 * output channel, biases int32.
 */
import { readFileSync } from 'node:fs';
import { OnnxModel } from '../../onnx/file/onnx-model.js';
import type { ModelParts, ValueInfo } from '../../onnx/file/proto.js';
import {
  type Constant,
  type ElementType,
  type GraphNode,
  type Numbers,
  type Value,
  valuesOf,
} from '../../onnx/graph.js';
import { identity } from '../../onnx/layout.js';
import { type Calibration, calibrate, type Feeds, type Range } from './calibrate.js';
import { planQuantization, type QuantizationPlan } from './quantizable.js';

export interface QuantizeOptions {
  method: Calibration;
  /** Weights in seven bits: without VNNI, x86 adds pairs of products in 16 bits, which eight overflow. */
  reduceRange: boolean;
  /** Layers that stay float32. */
  keepFloat: readonly string[];
  onProgress?: (done: number, total: number) => void;
}

/** True if this machine's processor needs `reduceRange`: x86 without VNNI. */
export function needsReducedRange(): boolean {
  if (process.arch !== 'x64') return false;
  try {
    return !/\b(avx512_vnni|avx_vnni)\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return true; // cannot be known: the safe form runs everywhere
  }
}

/**
 * @param feeds  images, or other inputs, as the model will meet them
 */
export async function quantize({ parts }: OnnxModel, feeds: Feeds, options: QuantizeOptions): Promise<OnnxModel> {
  const plan = planQuantization(parts, new Set(options.keepFloat));
  const roots = [...new Set(plan.tensors.values())];
  const ranges = await calibrate(parts, roots, feeds, options.method, options.onProgress);
  return new OnnxModel(new QuantizedWriter(parts, plan, ranges, options.reduceRange ? 63 : 127).run());
}

/** Code of a bias: as much of 32 bits is left to the sum of the products. */
const LARGEST_BIAS = 2 ** 30;

/** Scale and zero point of an activation: value = scale · (code − zero point). */
interface Coding {
  scale: number;
  zeroPoint: number;
}

class QuantizedWriter {
  private readonly nodes: GraphNode[] = [];
  private readonly initializers: Map<string, Constant>;
  private readonly valueInfo: ValueInfo[];
  private readonly infos: Map<string, ValueInfo>;
  /** What is read in place of a tensor kept in eight bits. */
  private readonly decoded = new Map<string, Value>();

  constructor(
    private readonly parts: ModelParts,
    private readonly plan: QuantizationPlan,
    private readonly ranges: ReadonlyMap<string, Range>,
    /** Largest code of a weight. */
    private readonly largestCode: number,
  ) {
    this.initializers = new Map(parts.initializers);
    this.valueInfo = [...(parts.valueInfo ?? [])];
    this.infos = new Map([...parts.inputs, ...this.valueInfo].map((info) => [info.name, info]));
  }

  run(): ModelParts {
    const { parts, plan } = this;
    for (const { name, dtype, dims } of parts.inputs) {
      const fixed = dims.map((length) => (typeof length === 'number' ? length : 1));
      if (plan.tensors.has(name))
        this.coded({ name, dtype, dims: fixed, layout: identity(fixed.length), shape: fixed });
    }
    for (const node of parts.nodes) {
      const inputs = node.inputs.map((value) => value && (this.decoded.get(value.name) ?? value));
      this.nodes.push(plan.products.has(node) ? this.product(node, inputs) : { ...node, inputs });
      for (const value of node.outputs) if (plan.tensors.has(value.name)) this.coded(value);
    }
    return { ...parts, nodes: this.nodes, initializers: this.initializers, valueInfo: this.valueInfo };
  }

  /** Puts the two nodes behind a tensor. */
  private coded(value: Value): void {
    const { scale, zeroPoint } = this.codingOf(value.name);
    const parameters = [
      this.stored(`${value.name}/scale`, 'float32', [], [scale]),
      this.stored(`${value.name}/zero_point`, 'uint8', [], [zeroPoint]),
    ];
    const codes: Value = { ...value, name: `${value.name}/quantized`, dtype: 'uint8' };
    const decoded: Value = { ...value, name: `${value.name}/dequantized` };
    this.push('QuantizeLinear', [value, ...parameters], codes);
    this.push('DequantizeLinear', [codes, ...parameters], decoded);
    this.decoded.set(value.name, decoded);
  }

  private codingOf(name: string): Coding {
    const { min, max } = this.ranges.get(this.plan.tensors.get(name)!)!;
    const scale = Math.fround((max - min) / 255) || 1;
    return { scale, zeroPoint: Math.round(-min / scale) };
  }

  /** The product with its weights and bias as codes. */
  private product(node: GraphNode, [input, , bias]: readonly (Value | undefined)[]): GraphNode {
    const [from, weights] = node.inputs as [Value, Value];
    const axis = node.op === 'Conv' || node.attributes.transB === 1 ? 0 : weights.dims.length - 1;
    const constant = this.parts.initializers.get(weights.name)!;
    const scales = this.channelScales(weights.name, constant, axis);
    const kernel = this.decodedWeights(weights, constant, axis, scales);
    const inputs = [input, kernel];
    if (bias)
      inputs.push(this.decodedBias(bias, `${node.outputs[0].name}/bias`, this.codingOf(from.name).scale, scales));
    return { ...node, inputs };
  }

  private channelScales(weights: string, { dims, ...constant }: Constant, axis: number): Float32Array {
    const largest = new Float32Array(dims[axis]);
    forEachChannel(valuesOf({ dims, ...constant }), dims, axis, (value, channel) => {
      if (Math.abs(value) > largest[channel]) largest[channel] = Math.abs(value);
    });
    const scales = largest.map((value) => value / this.largestCode || 1);
    for (const { inputs } of this.plan.products) {
      const [from, read, bias] = inputs;
      if (read?.name === weights && bias) this.makeRoom(bias.name, this.codingOf(from!.name).scale, scales);
    }
    return scales;
  }

  /** Coarser steps where the weights are so small that the bias would have no code. */
  private makeRoom(bias: string, inputScale: number, scales: Float32Array): void {
    valuesOf(this.parts.initializers.get(bias)!).forEach((value, channel) => {
      scales[channel] = Math.max(scales[channel], Math.abs(Number(value)) / inputScale / LARGEST_BIAS);
    });
  }

  private decodedWeights(weights: Value, constant: Constant, axis: number, scales: Float32Array): Value {
    const codes = () => {
      const result = new Int8Array(constant.dims.reduce((product, length) => product * length, 1));
      forEachChannel(valuesOf(constant), constant.dims, axis, (value, channel, i) => {
        result[i] = Math.round(value / scales[channel]);
      });
      return result;
    };
    return this.decodedStored(weights, 'int8', codes, scales, axis);
  }

  private decodedBias(bias: Value, name: string, inputScale: number, scales: Float32Array): Value {
    const products = scales.map((scale) => inputScale * scale);
    const codes = () => {
      const values = valuesOf(this.parts.initializers.get(bias.name)!);
      return Int32Array.from(values as Float32Array, (value, c) => Math.round(value / products[c]));
    };
    return this.decodedStored({ ...bias, name }, 'int32', codes, products, 0);
  }

  private decodedStored(
    value: Value,
    dtype: 'int8' | 'int32',
    codes: () => Numbers,
    scales: Float32Array,
    axis: number,
  ): Value {
    const decoded: Value = { ...value, name: `${value.name}/dequantized` };
    if (this.initializers.has(`${value.name}/${dtype}`)) return decoded; // a layer used twice
    const inputs = [
      this.stored(`${value.name}/${dtype}`, dtype, value.dims, codes),
      this.stored(`${value.name}/scale`, 'float32', [scales.length], scales),
      this.stored(`${value.name}/zero_point`, dtype, [scales.length], new Int32Array(scales.length), true),
    ];
    this.push('DequantizeLinear', inputs, decoded, { axis });
    return decoded;
  }

  private stored(
    name: string,
    dtype: ElementType,
    dims: readonly number[],
    data: Constant['data'],
    narrow = false,
  ): Value {
    const values = narrow && dtype === 'int8' ? Int8Array.from(data as Int32Array) : data;
    this.initializers.set(name, { dtype, dims, data: values });
    return { name, dtype, dims, layout: identity(dims.length), shape: dims };
  }

  private push(op: string, inputs: Value[], output: Value, attributes: GraphNode['attributes'] = {}): void {
    this.nodes.push({ op, domain: '', inputs, outputs: [output], attributes, scope: '' });
    const dims = this.infos.get(output.name.replace(/\/(de)?quantized$/, ''))?.dims ?? output.dims;
    this.valueInfo.push({ name: output.name, dtype: output.dtype, dims });
  }
}

function forEachChannel(
  values: Numbers,
  dims: readonly number[],
  axis: number,
  look: (value: number, channel: number, index: number) => void,
): void {
  const inner = dims.slice(axis + 1).reduce((product, length) => product * length, 1);
  const channels = dims[axis];
  for (let i = 0; i < values.length; i++) look(values[i], Math.floor(i / inner) % channels, i);
}
