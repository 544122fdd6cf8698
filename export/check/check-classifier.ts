/** The description of a classifier against the model that it is put into, before anybody serves the file. */
import type { z } from 'zod';
import { UserError } from '../../base/errors.js';
import { nameSome } from '../../base/name-some.js';
import { CHANNELS, layoutOf } from '../../onnx/file/channels.js';
import type { ClassifierDescription } from '../../onnx/file/classifier-description.js';
import { InsideConfig, parse } from '../../onnx/file/classifier-schema.js';
import type { ModelParts, ValueInfo } from '../../onnx/file/proto.js';

type Parsed = z.infer<typeof InsideConfig>;

const WHERE = 'exportOnnx: classifier';

/** @throws {UserError} where the description does not fit the model's input or output */
export function checkClassifier(description: ClassifierDescription, { inputs, outputs }: ModelParts): void {
  const parsed = parse(InsideConfig, WHERE, description);
  checkOutput(parsed, outputs);
  if (inputs.length !== 1 || inputs[0].dims.length !== 4 || !['float32', 'uint8'].includes(inputs[0].dtype))
    throw refusal('', 'a model of one input, float32 or uint8 with four axes', inputs.map(describe).join(', '));
  checkInput(parsed.input, inputs[0]);
}

function checkOutput({ labels, synsets, output: { name } }: Parsed, outputs: readonly ValueInfo[]): void {
  const floats = outputs.filter(({ dtype }) => dtype === 'float32');
  const output = floats.find((one) => name === undefined || one.name === name);
  if (!output) throw refusal('.output.name', nameSome(floats.map((one) => one.name)) || 'a float32 output', `${name}`);
  const classes = product(output.dims.slice(1).map(Number)); // NaN if it is free
  const count = labels?.length ?? classes;
  const isBinary = classes === 1 && count === 2;
  if (count !== classes && !isBinary && !Number.isNaN(classes))
    throw refusal('.labels', `${classes}, one for each class of the output ${describe(output)}`, String(count));
  if (synsets && synsets.length !== count)
    throw refusal('.synsets', `${count}, one for each class`, String(synsets.length));
}

const product = (lengths: readonly number[]): number => lengths.reduce((result, length) => result * length, 1);

/** Lengths that the model leaves free fit anything. */
function checkInput({ layout, channels, size, resize, ...colours }: Parsed['input'], input: ValueInfo): void {
  const lengths = input.dims.map(Number);
  const order = layout ?? layoutOf(lengths);
  if (!order) return; // the server looks for it in the graph
  const axes = { NHWC: [3, 1, 2], NCHW: [1, 2, 3] }[order];
  const [count, height, width] = axes.map((axis) => lengths[axis]);
  const expected = channels ? CHANNELS[channels] : count;
  if (count !== expected && !Number.isNaN(count))
    throw refusal('.input.channels', `those of the input ${describe(input)}`, `${channels}, which has ${expected}`);
  for (const key of ['mean', 'std'] as const) {
    const given = colours[key];
    const isOneForAll = given.every((value) => value === given[0]);
    if (!isOneForAll && given.length !== expected && !Number.isNaN(expected))
      throw refusal(`.input.${key}`, `a number for each of ${expected} channels, or one for all`, String(given.length));
  }
  const sides = sidesOf(size);
  if (sides && (differs(sides.width, width) || differs(sides.height, height)))
    throw refusal('.input.size', `that of the input ${describe(input)}`, `${sides.width} × ${sides.height} pixels`);
  const [w, h] = [sides?.width ?? width, sides?.height ?? height];
  const isSmall =
    typeof resize === 'number' ? resize < Math.min(w, h) : resize && (resize.width < w || resize.height < h);
  if (isSmall) throw refusal('.input.resize', `at least the ${w} × ${h} pixels of the input`, JSON.stringify(resize));
}

const differs = (given: number, stated: number): boolean => !Number.isNaN(stated) && given !== stated;
const sidesOf = (size: Parsed['input']['size']) => (typeof size === 'number' ? { width: size, height: size } : size);
const describe = ({ name, dims }: ValueInfo): string => `${name} [${dims.join(', ')}]`;

function refusal(key: string, expected: string, got: string): UserError {
  return new UserError(`${WHERE}${key}: expected ${expected}, got ${got}`);
}
