/**
 * Convolutions that onnxruntime's WebGPU kernels compute wrong (1.30), written as others:
 * - With groups, 4 (or 2) output channels are computed at once, whichever divides their number, all from the input of one
 *   group. Where a group ends within such a vector, results differ by a tenth of the largest value and more. One `Conv` for
 *   each group: y = Concat(Conv(xᵢ, wᵢ, bᵢ)), with Split. AlexNet's groups have 128 and 192 channels and stay.
 * - Input channels that are a multiple of 3 and none of 4, if there are more than 3: zeros fill them up.
 * Only the model in memory changes.
 */
import { onnx } from '../file/onnx-proto.js';
import { freshNames, hasOnnxOperators, isOnnx, opsetOf, splitNode } from './editing.js';

const { INT, INTS } = onnx.AttributeProto.AttributeType;
type ModelProto = onnx.IModelProto;
type NodeProto = onnx.INodeProto;
type TensorProto = onnx.ITensorProto;

/** From it on `Split` without lengths gives equal parts, and `Pad` pads any axis. */
const LOWEST_OPSET = 2;
/** From it on `Pad` takes its lengths as an input. */
const PAD_INPUT_OPSET = 11;
/** Narrower groups are computed a channel at a time. */
const NARROWEST_VECTOR = 4;

interface Editing {
  opset: number;
  fresh: (wanted: string) => string;
  /** Gains constants. */
  initializer: TensorProto[];
}

/**
 * The model with every such `Conv` of its graph rewritten whose kernel is a stored tensor. `model` itself is not changed;
 * what stays is shared with the result.
 */
export function rewriteConvolutions(model: ModelProto): ModelProto {
  const graph = model.graph ?? {};
  if (!hasOnnxOperators(model, LOWEST_OPSET)) return model;
  const initializer = [...(graph.initializer ?? [])];
  const editing: Editing = { opset: opsetOf(model), fresh: freshNames(graph), initializer };
  const kernels = new Map(graph.initializer?.map(({ name, dims }) => [name, (dims ?? []).map(Number)]));
  const node = (graph.node ?? []).flatMap((conv) => {
    const kernel = isOnnx(conv) && conv.opType === 'Conv' ? kernels.get(conv.input?.[1]) : undefined;
    if (!kernel) return [conv];
    const [outChannels, inChannels] = kernel;
    const groups = Number(conv.attribute?.find(({ name }) => name === 'group')?.i ?? 1);
    const nodes = spansGroups(outChannels, groups) ? byGroup(conv, groups, editing) : [conv];
    if (groups > 1 && nodes.length === 1) return nodes;
    return nodes.flatMap((each) =>
      each.opType === 'Conv' ? filledUp(each, inChannels, kernel.length, editing) : [each],
    );
  });
  return { ...model, graph: { ...graph, node, initializer } };
}

/** Whether a group ends within a vector of channels. @param outChannels  of all groups */
function spansGroups(outChannels: number, groups: number): boolean {
  const perGroup = outChannels / groups;
  const vector = [4, 2].find((length) => outChannels % length === 0) ?? 1;
  return groups > 1 && perGroup >= NARROWEST_VECTOR && perGroup % vector !== 0;
}

function byGroup(conv: NodeProto, groups: number, { opset, fresh }: Editing): NodeProto[] {
  const y = conv.output?.[0] ?? '';
  const named = (part: string) => Array.from({ length: groups }, (_, i) => fresh(`${y}/${part}_${i}`));
  const splits = (conv.input ?? []).map((value, i) => {
    return splitNode(value, named(['x', 'kernel', 'bias'][i]), i === 0 ? 1 : 0, opset);
  });
  const attribute = conv.attribute?.filter(({ name }) => name !== 'group');
  const parts = named('group').map((name, i) => {
    return { opType: 'Conv', name, input: splits.map(({ output }) => output[i]), output: [name], attribute };
  });
  const axis = [{ name: 'axis', type: INT, i: 1 }];
  const joined = { opType: 'Concat', name: y, input: parts.map(({ name }) => name), output: [y], attribute: axis };
  return [...splits, ...parts, joined];
}

/** A `Conv` without groups, with image and kernel padded to whole vectors of channels if it needs that. */
function filledUp(conv: NodeProto, channels: number, rank: number, editing: Editing): NodeProto[] {
  if (channels <= 3 || channels % 3 !== 0 || channels % 4 === 0) return [conv];
  const lengths = Array<number>(2 * rank)
    .fill(0)
    .with(rank + 1, 4 - (channels % 4));
  const [x, kernel, ...bias] = conv.input ?? [];
  const pads = [x, kernel].map((value, i) =>
    padded(value, `${conv.output?.[0]}/${['x', 'kernel'][i]}`, lengths, editing),
  );
  return [...pads, { ...conv, input: [...pads.map(({ output }) => output[0]), ...bias] }];
}

function padded(value: string, wanted: string, lengths: number[], { opset, fresh, initializer }: Editing) {
  const output = [fresh(`${wanted}_padded`)];
  const node = { opType: 'Pad', name: output[0], output };
  if (opset < PAD_INPUT_OPSET)
    return { ...node, input: [value], attribute: [{ name: 'pads', type: INTS, ints: lengths }] };
  const name = fresh(`${wanted}_pads`);
  const rawData = new Uint8Array(BigInt64Array.from(lengths, BigInt).buffer);
  initializer.push({ name, dims: [lengths.length], dataType: onnx.TensorProto.DataType.INT64, rawData });
  return { ...node, input: [value, name] };
}
