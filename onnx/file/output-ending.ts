/**
 * What a graph of any origin ends with: whether the values of an output are probabilities already, and of which kind.
 * Told only where the graph leaves no doubt; what it does not tell, the numbers it gives may.
 */
import type { Ending } from './ending.js';
import { attribute } from './onnx-graph.js';

type GraphProto = import('onnx-proto').onnx.IGraphProto;
type NodeProto = import('onnx-proto').onnx.INodeProto;
type TensorProto = import('onnx-proto').onnx.ITensorProto;

const ENDINGS: Record<string, Ending['kind']> = {
  Softmax: 'softmax',
  QLinearSoftmax: 'softmax',
  LogSoftmax: 'logSoftmax',
  Sigmoid: 'sigmoid',
  HardSigmoid: 'sigmoid',
  QLinearSigmoid: 'sigmoid',
};
for (const op of ['Gemm', 'MatMul', 'Conv', 'ConvTranspose', 'Einsum', 'MatMulInteger', 'ConvInteger']) {
  ENDINGS[op] = 'logits';
}
for (const op of ['QGemm', 'QLinearMatMul', 'QLinearConv', 'FusedMatMul', 'MatMulNBits']) ENDINGS[op] = 'logits';
for (const op of ['DynamicQuantizeMatMul', 'MatMulIntegerToFloat', 'MatMulBnb4', 'MatMulFpQ4']) ENDINGS[op] = 'logits';

/** Of operators whose meaning is known by their names. */
const DOMAINS = new Set(['', 'ai.onnx', 'com.microsoft']);

/** Their output holds the values of their first input, or means of them. */
const KEEPS = new Set(['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Transpose', 'Cast', 'Dropout']);
for (const op of ['QuantizeLinear', 'DequantizeLinear', 'ReduceMean', 'AveragePool', 'GlobalAveragePool'])
  KEEPS.add(op);
const ROUNDS = new Set(['Round', 'Floor', 'Ceil']);

/** Some of the values of their first input. */
const PICKS = new Set(['Slice', 'Gather', 'Split']);

/** Logits stay logits through these, and nothing else stays what it was. */
const BENDS = new Set(['Relu', 'LeakyRelu', 'PRelu', 'Elu', 'BatchNormalization', 'LayerNormalization', 'Clip', 'Neg']);
for (const op of ['Add', 'Sub', 'Mul', 'Div', 'MaxPool', 'GlobalMaxPool', 'ReduceMax', 'ReduceSum']) BENDS.add(op);
for (const op of ['Mean', 'Sum', 'Max', 'Min', 'QLinearAdd', 'QLinearMul']) BENDS.add(op);

/** `factor` · x + `offset`. */
interface Affine {
  factor: number;
  offset: number;
}
const SAME: Affine = { factor: 1, offset: 0 };

/** Clipping as near as this to 0 and 1 keeps probabilities: Keras clips them by 1e-7. */
const NEARLY = 0.01;

/** @returns undefined if the graph leaves it open */
export function endingOf(graph: GraphProto, output: string): Ending | undefined {
  return new Walk(graph).from(output);
}

class Walk {
  private readonly producers: ReadonlyMap<string, NodeProto>;
  private readonly stored: ReadonlyMap<string, TensorProto>;
  /** What is known of values already; one that is being looked at is open. */
  private readonly found = new Map<string, Ending | undefined>();

  constructor({ node, initializer }: GraphProto) {
    this.producers = new Map((node ?? []).flatMap((each) => (each.output ?? []).map((name) => [name, each])));
    this.stored = new Map((initializer ?? []).map((tensor) => [tensor.name ?? '', tensor]));
  }

  from(output: string): Ending | undefined {
    if (!this.found.has(output)) {
      this.found.set(output, undefined);
      this.found.set(output, this.walk(output));
    }
    return this.found.get(output);
  }

  private walk(output: string): Ending | undefined {
    let partial = false;
    /** Of the output in the value that is looked at; undefined for none. */
    let line: Affine | undefined = SAME;
    for (let name = output; ; ) {
      const node = this.producers.get(name);
      if (!node?.opType || !DOMAINS.has(node.domain ?? '')) return undefined;
      const { opType: op } = node;
      const [source = ''] = node.input ?? [];
      if (op === 'Tanh') return this.ofTanh(node, name, line);
      const found = this.endingAt(node, name);
      if (found) return straightened({ ...found, partial: partial || found.partial }, line);
      if (this.keeps(node) || ROUNDS.has(op)) name = source;
      else if (PICKS.has(op)) [name, partial] = [source, true];
      else if (BENDS.has(op)) {
        const varying = [...new Set((node.input ?? []).filter((input) => input !== '' && !this.isConstant(input)))];
        if (varying.length !== 1) return this.ofSeveral(varying);
        if (this.isLimitedTo01(node)) return undefined;
        line = line && this.lineOf(node, line);
        [name] = varying;
      } else return undefined;
    }
  }

  /** Whatever is made of several logits are logits. */
  private ofSeveral(values: readonly string[]): Ending | undefined {
    const all = values.map((value) => this.from(value));
    return all.every((ending) => ending?.kind === 'logits') ? all[0] : undefined;
  }

  /**
   * (tanh x + 1) / 2 is a sigmoid; other lines of the tanh of logits are logits, unless they lie between 0 and another
   * number as well.
   */
  private ofTanh({ input }: NodeProto, value: string, line: Affine | undefined): Ending | undefined {
    if (!line) return undefined;
    if (isNear(line, { factor: 0.5, offset: 0.5 })) return { kind: 'sigmoid', op: 'Tanh', value, partial: false };
    const before = this.from(input?.[0] ?? '');
    return before?.kind === 'logits' && Math.abs(line.offset) < Math.abs(line.factor) ? before : undefined;
  }

  /** `line` of the node's output as one of its only varying input; undefined where it is none. */
  private lineOf({ opType, input = [] }: NodeProto, { factor, offset }: Affine): Affine | undefined {
    if (opType === 'Neg') return { factor: -factor, offset };
    const [a = '', b = ''] = input ?? [];
    const isFirst = !this.isConstant(a);
    const constant = this.scalar(isFirst ? b : a);
    if (constant === undefined || a === b) return undefined;
    if (opType === 'Mul') return { factor: factor * constant, offset };
    if (opType === 'Div') return isFirst ? { factor: factor / constant, offset } : undefined;
    if (opType === 'Add') return { factor, offset: offset + factor * constant };
    if (opType !== 'Sub') return undefined;
    return isFirst
      ? { factor, offset: offset - factor * constant }
      : { factor: -factor, offset: offset + factor * constant };
  }

  private endingAt(node: NodeProto, value: string): Ending | undefined {
    const { opType = '', input } = node;
    const kind = ENDINGS[opType ?? ''];
    if (kind) return { kind, op: opType ?? '', value, partial: false };
    if (opType === 'Concat') return this.joined(input ?? []);
    if (this.isNormalisedExp(node)) return { kind: 'softmax', op: 'Exp and ReduceSum', value, partial: false };
    if (this.isInverseOfExp(node)) return { kind: 'sigmoid', op: `Exp and ${opType}`, value, partial: false };
    const before = opType === 'Exp' || opType === 'Log' ? this.from(input?.[0] ?? '') : undefined;
    if (opType === 'Exp' && before?.kind === 'logSoftmax') return { ...before, kind: 'softmax', value };
    if (opType === 'Log' && before?.kind === 'softmax' && !before.scaled)
      return { ...before, kind: 'logSoftmax', value };
    return undefined;
  }

  /** Of several that are alike; rows may have become longer by it. */
  private joined(inputs: readonly string[]): Ending | undefined {
    const [first, ...others] = inputs.map((name) => this.from(name));
    if (!first || others.some((other) => other?.kind !== first.kind)) return undefined;
    return { ...first, partial: true };
  }

  private keeps(node: NodeProto): boolean {
    if (node.opType !== 'Clip') return KEEPS.has(node.opType ?? '');
    const { min, max } = this.limits(node);
    return min <= NEARLY && max >= 1 - NEARLY && max <= 1 + NEARLY;
  }

  /** Whatever comes in, it may be a probability afterwards. */
  private isLimitedTo01(node: NodeProto): boolean {
    if (node.opType !== 'Clip') return false;
    const { min, max } = this.limits(node);
    return min >= 0 && max <= 1 + NEARLY;
  }

  private limits(node: NodeProto): { min: number; max: number } {
    const limit = (name: string, at: number, absent: number) =>
      attribute(node, name)?.f ?? this.scalar(node.input?.[at]) ?? absent;
    return { min: limit('min', 1, -Infinity), max: limit('max', 2, Infinity) };
  }

  /** The same for all images; scales of a dynamic quantisation, which are one number an image, count as well. */
  private isConstant(name: string): boolean {
    if (this.stored.has(name)) return true;
    const node = this.producers.get(name);
    if (!node) return false;
    if (node.opType === 'DynamicQuantizeLinear') return name !== node.output?.[0];
    return (
      node.opType === 'Constant' || (node.opType !== undefined && (node.input ?? []).every((n) => this.isConstant(n)))
    );
  }

  private scalar(name: string | undefined): number | undefined {
    const tensor = this.stored.get(name ?? '') ?? attribute(this.producers.get(name ?? '') ?? {}, 'value')?.t;
    if (!tensor || (tensor.dims ?? []).some((length) => Number(length) !== 1)) return undefined;
    if (tensor.floatData?.length) return tensor.floatData[0];
    const raw = tensor.rawData;
    return raw?.length === 4 ? new DataView(raw.buffer, raw.byteOffset, 4).getFloat32(0, true) : undefined;
  }

  /** e / Σ e for e = exp(…), the sum perhaps reshaped or a little raised; or e · (1 / Σ e). */
  private isNormalisedExp({ opType, input = [] }: NodeProto): boolean {
    const [a = '', b = ''] = input ?? [];
    if (opType === 'Div') return this.isExp(a) && this.isSumOf(b, a);
    if (opType !== 'Mul') return false;
    return [
      [a, b],
      [b, a],
    ].some(([e, r]) => {
      const node = this.producers.get(r);
      return node?.opType === 'Reciprocal' && this.isExp(e) && this.isSumOf(node.input?.[0] ?? '', e);
    });
  }

  /** 1 / (1 + exp(…)), a sigmoid. */
  private isInverseOfExp({ opType, input = [] }: NodeProto): boolean {
    const [a = '', b = ''] = input ?? [];
    if (opType !== 'Reciprocal' && !(opType === 'Div' && this.scalar(a) === 1)) return false;
    const below = this.producers.get(opType === 'Div' ? b : a);
    const [c = '', d = ''] = below?.input ?? [];
    return (
      below?.opType === 'Add' && ((this.isExp(c) && this.scalar(d) === 1) || (this.isExp(d) && this.scalar(c) === 1))
    );
  }

  private isExp(name: string): boolean {
    return this.producers.get(name)?.opType === 'Exp';
  }

  private isSumOf(sum: string, of: string): boolean {
    for (let name = sum; ; ) {
      const node = this.producers.get(name);
      const op = node?.opType ?? '';
      const varying = (node?.input ?? []).filter((input) => input !== '' && !this.isConstant(input));
      if (op === 'ReduceSum' || op === 'ReduceL1') return node?.input?.[0] === of;
      if (varying.length !== 1 || !(KEEPS.has(op) || ['Add', 'Max', 'Clip', 'Expand'].includes(op))) return false;
      [name] = varying;
    }
  }
}

/** A Softmax may be raised by this, so that its logarithm is finite. */
const EPSILON = 1e-4;

const isNear = (a: Affine, b: Affine) =>
  Math.abs(a.factor - b.factor) < EPSILON && Math.abs(a.offset - b.offset) < EPSILON;

/** What a line of an ending's values is; undefined where it tells nothing. */
function straightened(found: Ending, line: Affine | undefined): Ending | undefined {
  if (found.kind === 'logits' || (line && isNear(line, SAME))) return found;
  const isMultiple = line && line.factor > 0 && Math.abs(line.offset) < EPSILON;
  return found.kind === 'softmax' && isMultiple ? { ...found, scaled: true } : undefined;
}
