/** AlexNet of five classes in the forms of other programs. */
import { onnx } from '../../onnx/file/onnx-proto.js';
import { numbers } from '../onnx/on-both.js';

const { FLOAT, INT64 } = onnx.TensorProto.DataType;
export const CLASSES = 5;

/**
 * Caffe's AlexNet as Caffe2 wrote it to ONNX: foreign names, weights among the inputs, BGR, `Gemm` with transB, an old
 * operator set.
 */
export function zooModel(width: number, seed: number, norm: 'op' | 'pytorch' = 'op') {
  const initializer: { name: string; dims: number[]; dataType: number; floatData: number[] }[] = [];
  const stored = (name: string, ...dims: number[]) => {
    const length = dims.reduce((product, side) => product * side, 1);
    initializer.push({ name, dims, dataType: FLOAT, floatData: [...numbers(length, seed + initializer.length)] });
    return name;
  };
  const ints = (name: string, ...values: number[]) => ({ name, type: 7, ints: values });
  const int = (name: string, i: number) => ({ name, type: 2, i });
  const float = (name: string, f: number) => ({ name, type: 1, f });
  const nodes: object[] = [];
  let last = 'data_0';
  const add = (opType: string, name: string, more: string[], attribute: object[]) => {
    nodes.push({ opType, input: [last, ...more], output: [name], attribute });
    last = name;
  };
  let n = 0;
  const conv = (out: number, inPerGroup: number, kernel: number, { stride = 1, pad = 0, group = 1 }) => {
    n += 1;
    const weights = [stored(`w_${n}`, out, inPerGroup, kernel, kernel), stored(`b_${n}`, out)];
    const geometry = [ints('strides', stride, stride), ints('pads', pad, pad, pad, pad), int('group', group)];
    add('Conv', `c${n}`, weights, [ints('kernel_shape', kernel, kernel), ...geometry]);
    add('Relu', `r${n}`, [], []);
  };
  /** PyTorch's LocalResponseNorm(3, alpha=2e-4, beta=0.6, k=1.3) as its exporter writes it. */
  const composed = (x: string) => {
    const axes = [ints('axes', 1)];
    const constant = (name: string, value: number) => {
      const tensor = { dims: [], dataType: FLOAT, floatData: [value] };
      nodes.push({ opType: 'Constant', output: [name], attribute: [{ name: 'value', type: 4, t: tensor }] });
      return name;
    };
    add('Mul', `${x}_square`, [x], []);
    add('Unsqueeze', `${x}_5d`, [], axes);
    add('Pad', `${x}_padded`, [], [ints('pads', 0, 0, 1, 0, 0, 0, 0, 1, 0, 0)]);
    add('AveragePool', `${x}_mean`, [], [ints('kernel_shape', 3, 1, 1)]);
    add('Squeeze', `${x}_4d`, [], axes);
    add('Mul', `${x}_scaled`, [constant(`${x}_alpha`, 2e-4)], []);
    add('Add', `${x}_sum`, [constant(`${x}_k`, 1.3)], []);
    add('Pow', `${x}_power`, [constant(`${x}_beta`, 0.6)], []);
    nodes.push({ opType: 'Div', input: [x, last], output: [`n${n}`] });
    last = `n${n}`;
  };
  const normalise = () => {
    if (norm === 'pytorch') return composed(last);
    add('LRN', `n${n}`, [], [int('size', 5), float('alpha', 1e-4), float('beta', 0.75), float('bias', 1)]);
  };
  const pool = () => add('MaxPool', `p${n}`, [], [ints('kernel_shape', 3, 3), ints('strides', 2, 2)]);
  const fc = (out: number, inputs: number) => {
    n += 1;
    if (n > 6) add('Relu', `r${n}`, [], []);
    add('Gemm', `f${n}`, [stored(`w_${n}`, out, inputs), stored(`b_${n}`, out)], [int('transB', 1)]);
  };
  const [a, b, c, wide] = [96 * width, 256 * width, 384 * width, 4096 * width];
  conv(a, 3, 11, { stride: 4 });
  normalise();
  pool();
  conv(b, a / 2, 5, { pad: 2, group: 2 });
  normalise();
  pool();
  conv(c, b, 3, { pad: 1 });
  conv(c, c / 2, 3, { pad: 1, group: 2 });
  conv(b, c / 2, 3, { pad: 1, group: 2 });
  pool();
  add('Reshape', 'flat', ['shape'], []);
  fc(wide, b * 36);
  fc(wide, wide);
  fc(CLASSES, wide);
  add('Softmax', 'prob_1', [], []);
  const shape = { name: 'shape', dims: [2], dataType: INT64, int64Data: [1, b * 36] };
  const value = (name: string, elemType: number, dims: number[]) => {
    const dim = dims.map((dimValue) => ({ dimValue }));
    return { name, type: { tensorType: { elemType, shape: { dim } } } };
  };
  const tensors = [...initializer, shape];
  const input = [value('data_0', FLOAT, [1, 3, 224, 224])];
  input.push(...tensors.map(({ name, dataType, dims }) => value(name, dataType, dims)));
  const output = [value('prob_1', FLOAT, [1, CLASSES])];
  const graph = { name: 'AlexNet', node: nodes, initializer: tensors, input, output };
  const bytes = onnx.ModelProto.encode({
    irVersion: 3,
    producerName: 'onnx-caffe2',
    opsetImport: [{ domain: '', version: 9 }],
    graph,
  }).finish();
  return { bytes, stored: new Map(initializer.map((tensor) => [tensor.name, tensor])) };
}

/** A safetensors file: length of the header, header, numbers. */
export function safetensors(tensors: Record<string, { shape: number[]; data: Float32Array }>): Buffer {
  let offset = 0;
  const header: Record<string, object> = { __metadata__: { format: 'pt' } };
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...Object.values(tensors).map(({ data }) => Buffer.from(data.buffer))]);
}

/** torchvision's AlexNet, a sixteenth as wide. */
export function stateDict(): Record<string, { shape: number[]; data: Float32Array }> {
  const [a, b, c, wide] = [4, 12, 24, 256];
  const shapes: Record<string, number[]> = {
    'features.0': [a, 3, 11, 11],
    'features.3': [b, a, 5, 5],
    'features.6': [c, b, 3, 3],
    'features.8': [16, c, 3, 3],
    'features.10': [16, 16, 3, 3],
    'classifier.1': [wide, 16 * 36],
    'classifier.4': [wide, wide],
    'classifier.6': [CLASSES, wide],
  };
  return Object.fromEntries(
    Object.entries(shapes).flatMap(([name, shape], i) => {
      const size = shape.reduce((product, side) => product * side, 1);
      return [
        [`${name}.weight`, { shape, data: numbers(size, i + 1) }],
        [`${name}.bias`, { shape: [shape[0]], data: numbers(shape[0], i + 20) }],
      ];
    }),
  );
}
