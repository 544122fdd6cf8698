/**
 * Half precision: weights and computation in float16, inputs and outputs as they were. Up to the first convolution or
 * matrix product numbers are pixels and stay float32; so do operators whose sums or powers leave float16's range
 * (65504) or digits (11 bits): normalisation, softmax, reductions and everything not listed here.
 */
import { Float16Array } from '@petamoriken/float16';
import { UserError } from '../../base/errors.js';
import { OnnxModel } from '../../onnx/file/onnx-model.js';
import type { ModelParts, ValueInfo } from '../../onnx/file/proto.js';
import { type Constant, type ElementType, type GraphNode, type Value, valuesOf } from '../../onnx/graph.js';

/** With these, half precision begins. */
const PRODUCTS = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/** Computed in half precision if an input is in half precision. */
const FOLLOWERS = new Set(
  (
    'Relu LeakyRelu PRelu Elu Selu Sigmoid Tanh HardSigmoid Clip MaxPool AveragePool GlobalAveragePool Add Sub Mul Div Min Max Neg ' +
    'Concat Reshape Transpose Squeeze Unsqueeze Flatten Slice Pad Gather Expand Identity BatchNormalization DepthToSpace ' +
    'SpaceToDepth Tile Where Split'
  ).split(' '),
);

/** Largest number of float16. */
const LARGEST = 65504;

/**
 * @throws {UserError} naming a weight that float16 cannot hold, and for a model whose response normalisation is spelt
 *   out: its squares
 *                     pass float16's range
 */
export function toFloat16({ parts }: OnnxModel): OnnxModel {
  return new OnnxModel(new HalfWriter(parts).run());
}

class HalfWriter {
  private readonly nodes: GraphNode[] = [];
  private readonly initializers: Map<string, Constant>;
  private readonly half = new Set<string>();
  /** Casts made, by the name of their result. */
  private readonly casts = new Map<string, Value>();
  private readonly types = new Map<string, ElementType>();

  constructor(private readonly parts: ModelParts) {
    this.initializers = new Map(parts.initializers);
  }

  run(): ModelParts {
    const { parts } = this;
    const outputs = new Set(parts.outputs.map(({ name }) => name));
    for (const node of parts.nodes) {
      const isHalf =
        PRODUCTS.has(node.op) ||
        (FOLLOWERS.has(node.op) && node.inputs.some((value) => value && this.half.has(value.name)));
      const type = isHalf ? 'float16' : 'float32';
      const inputs = node.inputs.map((value) => value && this.as(value, type));
      const results = node.outputs.map((value) => (isHalf ? this.halved(value, outputs) : value));
      this.nodes.push({ ...node, inputs, outputs: results });
      results.forEach((value, i) => {
        if (value.name !== node.outputs[i].name) this.push('Cast', value, node.outputs[i], 'float32');
      });
    }
    const valueInfo = (parts.valueInfo ?? []).map((info) => ({
      ...info,
      dtype: this.types.get(info.name) ?? info.dtype,
    }));
    return {
      ...parts,
      nodes: this.nodes,
      initializers: this.initializers,
      valueInfo: [...valueInfo, ...this.castInfo()],
    };
  }

  /** A node's result in half precision; an output of the graph keeps its name for the cast back. */
  private halved(value: Value, outputs: ReadonlySet<string>): Value {
    if (value.dtype !== 'float32') return value;
    const name = outputs.has(value.name) ? `${value.name}/float16` : value.name;
    this.half.add(name);
    this.types.set(name, 'float16');
    const result: Value = { ...value, name, dtype: 'float16' };
    if (name !== value.name) this.casts.set(name, { ...result, dtype: 'float16' });
    return result;
  }

  /** A value that a node reads, in the type it reads. */
  private as(value: Value, type: 'float16' | 'float32'): Value {
    if (value.dtype !== 'float32') return value;
    const stored = this.parts.initializers.get(value.name);
    if (stored) return type === 'float16' ? this.storedHalf(value, stored) : value;
    const have = this.half.has(value.name) ? 'float16' : 'float32';
    if (have === type) return { ...value, dtype: type };
    const name = `${value.name}/${type}`;
    const known = this.casts.get(name);
    if (known) return known;
    const cast: Value = { ...value, name, dtype: type };
    this.casts.set(name, cast);
    this.push('Cast', value, cast, type);
    return cast;
  }

  private push(op: string, from: Value, to: Value, type: ElementType): void {
    this.nodes.push({ op, domain: '', inputs: [from], outputs: [to], attributes: { to: type }, scope: '' });
  }

  private storedHalf(value: Value, constant: Constant): Value {
    const name = `${value.name}/float16`;
    if (!this.initializers.has(name)) {
      const data = () => halfBits(value.name, valuesOf(constant));
      this.initializers.set(name, { ...constant, dtype: 'float16', data });
    }
    return { ...value, name, dtype: 'float16' };
  }

  private castInfo(): ValueInfo[] {
    const dims = new Map(
      [...this.parts.inputs, ...this.parts.outputs, ...(this.parts.valueInfo ?? [])].map((v) => [v.name, v.dims]),
    );
    return [...this.casts.values()].map(({ name, dtype }) => ({
      name,
      dtype,
      dims: dims.get(name.replace(/\/float(16|32)$/, ''))!,
    }));
  }
}

/** The bits of each number rounded to float16. */
function halfBits(name: string, values: ArrayLike<number>): Uint16Array {
  const halves = new Float16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    if (Math.abs(values[i]) > LARGEST && Number.isFinite(values[i]))
      throw new UserError(
        `${name}: holds ${values[i]}, which float16 (up to ${LARGEST}) cannot; keep the model in float32 (--precision fp32)`,
      );
    halves[i] = values[i];
  }
  return new Uint16Array(halves.buffer as ArrayBuffer);
}
