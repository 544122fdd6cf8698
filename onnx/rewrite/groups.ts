/**
 * onnxruntime's WebGPU kernel for a `Conv` with groups computes 4 (or 2) output channels at once, whichever divides their
 * number, all from the input of one group (conv.cc, 1.30). It is wrong where a group ends within such a vector: by a tenth
 * of the largest value and more for two groups of 6 channels. Such a `Conv` is written as one for each group:
 *   y = Concat(Conv(xᵢ, wᵢ, bᵢ)),  xᵢ, wᵢ and bᵢ by Split.
 * AlexNet's groups have 128 and 192 channels and stay.
 */
import { onnx } from '../file/onnx-proto.js';
import { freshNames, hasOnnxOperators, isOnnx, opsetOf } from './editing.js';

const { INT } = onnx.AttributeProto.AttributeType;
type ModelProto = onnx.IModelProto;
type NodeProto = onnx.INodeProto;

/** From it on `Split` without lengths gives equal parts. */
const LOWEST_OPSET = 2;
/** From it on it has to be told how many. */
const NUM_OUTPUTS_OPSET = 18;
/** Narrower groups are computed a channel at a time. */
const NARROWEST_VECTOR = 4;

/** Whether the WebGPU kernel computes such groups wrong. @param outChannels  of all groups */
export function spansGroups(outChannels: number, groups: number): boolean {
  const perGroup = outChannels / groups;
  const vector = [4, 2].find((length) => outChannels % length === 0) ?? 1;
  return groups > 1 && perGroup >= NARROWEST_VECTOR && perGroup % vector !== 0;
}

/**
 * The model with every `Conv` of its graph split that the kernel would compute wrong and whose kernel is a stored tensor.
 * `model` itself is not changed; what stays is shared with the result.
 */
export function splitGroups(model: ModelProto): ModelProto {
  const graph = model.graph ?? {};
  if (!hasOnnxOperators(model, LOWEST_OPSET)) return model;
  const fresh = freshNames(graph);
  const channels = new Map(graph.initializer?.map(({ name, dims }) => [name, Number(dims?.[0] ?? 0)]));
  const node = (graph.node ?? []).flatMap((conv) => {
    const groups = isOnnx(conv) && conv.opType === 'Conv' ? groupsOf(conv) : 1;
    const outChannels = channels.get(conv.input?.[1]) ?? 0;
    return spansGroups(outChannels, groups) ? inParts(conv, groups, opsetOf(model), fresh) : [conv];
  });
  return { ...model, graph: { ...graph, node } };
}

const groupsOf = ({ attribute }: NodeProto) => Number(attribute?.find(({ name }) => name === 'group')?.i ?? 1);

function inParts(conv: NodeProto, groups: number, opset: number, fresh: (wanted: string) => string): NodeProto[] {
  const y = conv.output?.[0] ?? '';
  const named = (part: string) => Array.from({ length: groups }, (_, i) => fresh(`${y}/${part}_${i}`));
  const splits = (conv.input ?? []).map((value, i) => {
    const attribute = [{ name: 'axis', type: INT, i: i === 0 ? 1 : 0 }];
    if (opset >= NUM_OUTPUTS_OPSET) attribute.push({ name: 'num_outputs', type: INT, i: groups });
    const output = named(['x', 'kernel', 'bias'][i]);
    return { opType: 'Split', name: output[0], input: [value], output, attribute };
  });
  const attribute = conv.attribute?.filter(({ name }) => name !== 'group');
  const parts = named('group').map((name, i) => {
    return { opType: 'Conv', name, input: splits.map(({ output }) => output[i]), output: [name], attribute };
  });
  const axis = [{ name: 'axis', type: INT, i: 1 }];
  const joined = { opType: 'Concat', name: y, input: parts.map(({ name }) => name), output: [y], attribute: axis };
  return [...splits, ...parts, joined];
}
