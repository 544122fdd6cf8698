/**
 * Recurrent layers that keep their state from call to call. A file keeps nothing, so that each state is an input,
 * `lstm_state0`, and an output, `lstm_state0_next`, to be fed to the next call. The model's own states stay as they are.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { tf } from '../../base/tfjs/core.js';
import type { ModelSource } from './model-source.js';

/** What tfjs's recurrent layers keep. */
interface StatefulLayer {
  name: string;
  states_: tf.Tensor[] | null;
  resetStates(): void;
}

type Run = (inputs: tf.Tensor[]) => tf.Tensor[];

/** What may be inside a layer: of a model, of Bidirectional, of a wrapper. */
type Outer = Partial<
  { layers: tfl.layers.Layer[] } & Record<'forwardLayer' | 'backwardLayer' | 'layer', tfl.layers.Layer>
>;

function statefulLayers(layer: tfl.layers.Layer): StatefulLayer[] {
  const { layers = [], forwardLayer, backwardLayer, layer: wrapped } = layer as Outer;
  const inner = [...layers, forwardLayer, backwardLayer, wrapped].flatMap((one) => (one ? statefulLayers(one) : []));
  return layer.stateful && 'states_' in layer ? [layer as unknown as StatefulLayer, ...inner] : inner;
}

/** The program with its states as further inputs and outputs; the same if it has none. */
export function withStates(model: tfl.LayersModel, source: Omit<ModelSource, 'run'> & { run: Run }): ModelSource {
  const layers = statefulLayers(model);
  if (layers.length === 0) return source;
  for (const layer of layers) if (layer.states_ === null) layer.resetStates();
  const states = layers.flatMap(({ name, states_ }) =>
    states_!.map(({ shape }, i) => ({ name: `${name}_state${i}`, shape, dtype: 'float32' as const })),
  );
  return {
    ...source,
    inputs: [...source.inputs, ...states],
    outputNames: [...source.outputNames!, ...states.map(({ name }) => `${name}_next`)],
    run: (inputs) =>
      runOn(layers, inputs.slice(source.inputs.length), () => source.run(inputs.slice(0, source.inputs.length))),
  };
}

/** The program's outputs, then the layers' new states. */
function runOn(layers: readonly StatefulLayer[], states: readonly tf.Tensor[], run: () => tf.Tensor[]): tf.Tensor[] {
  const own = layers.map(({ states_ }) => states_!);
  const starts = own.map((_, i) => own.slice(0, i).flat().length);
  try {
    layers.forEach((layer, i) => {
      layer.states_ = own[i].map((_, at) => tf.clone(states[starts[i] + at]));
    });
    const outputs = run();
    const next = layers.flatMap(({ states_ }) => states_!.map((state) => tf.clone(state)));
    for (const { states_ } of layers) tf.dispose(states_!);
    return [...outputs, ...next];
  } finally {
    layers.forEach((layer, i) => {
      layer.states_ = own[i];
    });
  }
}
