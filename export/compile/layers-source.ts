/** A layers model as what can be exported. */
import { tfl } from '../../base/tfjs/layers.js';
import { withStates } from './layer-states.js';
import { inferencePass, weightNames } from './layers-pass.js';
import { checkNames, type ModelSource, numeric } from './model-source.js';

/** @param outputs  names of layers whose results to give in place of the model's */
export function layersModelSource(whole: tfl.LayersModel, outputs?: readonly string[]): ModelSource {
  const model = outputs ? cutAt(whole, outputs) : whole;
  const names = layerNames(model.inputs);
  return withStates(model, {
    name: whole.name,
    inputs: model.inputs.map(({ shape, dtype }, i) => ({ name: names[i], shape, dtype: numeric(dtype, names[i]) })),
    outputNames: layerNames(model.outputs),
    channelsFirst: model.layers.some((layer) => layer.getConfig().dataFormat === 'channelsFirst'),
    run: inferencePass(model),
    weightNames: () => weightNames(model),
  });
}

function cutAt(model: tfl.LayersModel, names: readonly string[]): tfl.LayersModel {
  const layers = new Map(model.layers.map((layer) => [layer.name, layer]));
  checkNames(names, [...layers.keys()], 'layer');
  return tfl.model({
    inputs: model.inputs,
    outputs: names.map((name) => layers.get(name)!.output as tfl.SymbolicTensor),
  });
}

/** Names of the layers that the tensors come from: a sequential model that was loaded keeps no names of its own. */
function layerNames(tensors: readonly tfl.SymbolicTensor[]): string[] {
  const layers = tensors.map(({ sourceLayer }) => sourceLayer.name);
  return layers.map((name, i) => (layers.indexOf(name) === i ? name : `${name}_${i}`));
}
