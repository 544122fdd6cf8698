/**
 * Networks that magnify rounding, such as a sigmoid of sums in the thousands: two right computations of them differ by
 * more than others do. How much is measured on the file itself, by changing its inputs by a millionth, about what
 * rounding adds in a hundred layers.
 */
import { random } from '../../base/random.js';
import * as ort from '../../onnx/onnxruntime.js';
import { TOLERANCE } from './compare-with-network.js';
import { checkDifference, largestDifference, type OutputPair } from './difference.js';
import type { BothOutputs, Feeds } from './run-both.js';

const CHANGE = 1e-6;
/** A difference may be so many times what the change does. */
const TIMES = 4;
/** And at most this: the outputs of a network that magnifies more say nothing. */
export const MOST_ROUNDING = 0.02;

/**
 * @returns  the outputs that differ by more than `TOLERANCE`, all by rounding, in words
 * @throws {UserError} if one differs by more than rounding explains
 */
export async function explainByRounding(
  session: ort.InferenceSession,
  runs: readonly BothOutputs[],
): Promise<string[]> {
  const pairs = runs.flatMap((run) => run.pairs);
  const differing = [...new Set(pairs.map(({ name }) => name))]
    .map((name) => ({ name, difference: largestDifference(pairs.filter((pair) => pair.name === name)) }))
    .filter(({ difference }) => difference.maxRel > TOLERANCE);
  if (differing.length === 0) return [];
  const changed: OutputPair[] = [];
  for (const run of runs) changed.push(...(await moved(session, run)));
  return differing.map(({ name, difference }) => {
    const { maxRel } = largestDifference(changed.filter((pair) => pair.name === name));
    if (difference.maxRel > Math.min(TIMES * maxRel, MOST_ROUNDING)) checkDifference(difference, TOLERANCE);
    return `${name} differs by ${difference.maxRel.toExponential(1)}, which is rounding: inputs changed by ${CHANGE} move it by ${maxRel.toExponential(1)}`;
  });
}

/** The file's outputs, against those for inputs that are changed a little. */
async function moved(session: ort.InferenceSession, { feeds, pairs }: BothOutputs): Promise<OutputPair[]> {
  const stream = random('rounding');
  const change = (value: number) => value * (1 + (stream.uniform() < 0.5 ? CHANGE : -CHANGE));
  const changed: Feeds = Object.fromEntries(
    Object.entries(feeds).map(([name, tensor]) => [
      name,
      tensor.type === 'float32'
        ? new ort.Tensor('float32', (tensor.data as Float32Array).map(change), tensor.dims)
        : tensor,
    ]),
  );
  const results = await session.run(changed);
  return pairs.map((pair) => ({ ...pair, expected: pair.actual, actual: results[pair.name].data as Float32Array }));
}
