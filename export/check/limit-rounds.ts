/**
 * A file whose loops fail if they do not end, for its check; the file itself has no limit. In every round the number of
 * the round is looked up in a table of so many entries, and onnxruntime refuses a number beyond it.
 */
import { onnx } from '../../onnx/file/onnx-proto.js';
import type { ModelParts } from '../../onnx/file/proto.js';
import { freshNames } from '../../onnx/rewrite/editing.js';
import { EndlessLoopError, MOST_ROUNDS } from '../compile/endless-loops.js';

type GraphProto = onnx.IGraphProto;
type NodeProto = onnx.INodeProto;

/** Ends the name of the node that looks a loop's round up. */
const SUFFIX = '/limit of rounds';

/** @param model  whose outermost graph becomes another */
export function limitRounds(model: onnx.IModelProto): onnx.IModelProto {
  const graph = model.graph!;
  const fresh = freshNames(graph);
  const name = fresh('limit of rounds');
  const table = { name, dims: [MOST_ROUNDS], dataType: onnx.TensorProto.DataType.BOOL };
  const initializer = [...(graph.initializer ?? []), { ...table, rawData: new Uint8Array(MOST_ROUNDS).fill(1) }];
  return { ...model, graph: { ...graph, initializer, node: limited(graph, name, fresh) } };
}

function limited({ node }: GraphProto, table: string, fresh: (wanted: string) => string): NodeProto[] {
  return (node ?? []).map((loop) => {
    if (loop.opType !== 'Loop') return loop;
    const attribute = loop.attribute!.map((one) => {
      return one.g ? { ...one, g: limitedBody(one.g, `${loop.name}${SUFFIX}`, table, fresh) } : one;
    });
    return { ...loop, attribute };
  });
}

function limitedBody(body: GraphProto, name: string, table: string, fresh: (wanted: string) => string): GraphProto {
  const [again, ...ends] = body.output!;
  const [within, both] = [fresh(name), fresh(name)];
  const limit: NodeProto[] = [
    { opType: 'Gather', name, input: [table, body.input![0].name!], output: [within] },
    { opType: 'And', name: both, input: [again.name!, within], output: [both] },
  ];
  return { ...body, node: [...limited(body, table, fresh), ...limit], output: [{ ...again, name: both }, ...ends] };
}

/** What onnxruntime says if a limit was reached, as an error of the loop; else undefined. */
export function endlessLoop(cause: Error, { nodes }: ModelParts): EndlessLoopError | undefined {
  const [, name] = new RegExp(`Name:'([^']*)${SUFFIX}'`).exec(cause.message) ?? [];
  if (name === undefined) return undefined;
  const loop = nodes.find(({ op, outputs }) => op === 'Loop' && outputs.some((value) => value.name === name));
  return new EndlessLoopError(loop?.scope || name, { cause });
}
