/** From a trained classifier to the bytes of an ONNX file. */
import type * as tfl from '@tensorflow/tfjs-layers';
import { UserError } from '../model/errors.js';
import { Graph, type Value } from './graph.js';
import { cropCount, type ImageHead, imageHead, TRACED_BATCH, tensorHead } from './heads.js';
import { liveNodes, lower } from './lower.js';
import { type ModelMetadata, metadataToProps } from './metadata.js';
import { nameGraph } from './names.js';
import { encodeModel } from './proto.js';
import { traceModel, weightNames } from './trace.js';

export interface ExportOptions extends ImageHead {
  head: 'image' | 'tensor';
  /** ONNX operator set, 13 to 22. */
  opset: number;
  metadata: Omit<ModelMetadata, 'head' | 'crops' | 'imagePx' | 'inputPx'>;
}

/** The file and what a report says of it. */
export interface ExportedModel {
  bytes: Uint8Array;
  /** Number of nodes by operator. */
  operators: Record<string, number>;
  metadata: ModelMetadata;
}

export const OPSETS = { lowest: 13, highest: 22, default: 13 } as const;

/**
 * Exports a classifier of this project's kind: one float32 NHWC picture in, logits out. Equal models give equal bytes.
 * @throws {UserError} naming all kernels that have no lowering; RangeError-like text for an operator set out of range
 */
export async function exportClassifier(model: tfl.LayersModel, options: ExportOptions): Promise<ExportedModel> {
  const { head, opset, inputPx, imagePx } = options;
  if (!Number.isInteger(opset) || opset < OPSETS.lowest || opset > OPSETS.highest) {
    throw new UserError(`opset: expected ${OPSETS.lowest} to ${OPSETS.highest}, got ${opset}`);
  }
  const crops = head === 'image' ? cropCount(options) : 1;
  const traced = await traceModel(model, TRACED_BATCH * crops);
  const names = weightNames(model);
  const g = new Graph({ opset, lrn: 'op' });
  const network = (input: Value): Value => {
    let constants = 0;
    const leaves = new Map([[traced.inputs[0], input]]);
    const [logits] = lower(g, traced.calls, traced.outputs, (operand) => {
      let value = leaves.get(operand);
      if (!value) {
        value = g.initializer(
          names.get(operand) ?? `constant${constants++}`,
          operand.dtype,
          operand.shape,
          operand.data!,
          operand.layout,
        );
        leaves.set(operand, value);
      }
      return value;
    });
    return logits;
  };
  const { inputs, outputs } = head === 'image' ? imageHead(g, options, network) : tensorHead(g, inputPx, network);
  const outputNames = head === 'image' ? ['probabilities'] : ['logits', 'probabilities'];
  const named = nameGraph(liveNodes(g, outputs), g.initializers, inputs, outputs, outputNames);
  const metadata: ModelMetadata = { ...options.metadata, head, crops, imagePx, inputPx };
  const bytes = encodeModel({
    graphName: metadata.model,
    opset,
    nodes: named.nodes,
    initializers: named.initializers,
    inputs: named.inputs.map((value) => ({ value, batch: 'N' })),
    outputs: named.outputs.map((value) => ({ value, batch: 'N' })),
    doc: describe(metadata),
    metadata: metadataToProps(metadata),
    producerVersion: metadata.toolVersion,
  });
  const operators: Record<string, number> = {};
  for (const { op } of named.nodes) operators[op] = (operators[op] ?? 0) + 1;
  return { bytes, operators, metadata };
}

function describe({ model, head, crops, imagePx, inputPx, labels }: ModelMetadata): string {
  return head === 'image'
    ? `${model}: image uint8 [N, ${imagePx}, ${imagePx}, 3] RGB → probabilities of ${labels.length} classes, mean over ${crops} crops of ${inputPx} pixels`
    : `${model}: input float32 [N, 3, ${inputPx}, ${inputPx}] RGB 0–255, mean subtracted → logits and probabilities of ${labels.length} classes`;
}
