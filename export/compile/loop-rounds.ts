/** The rounds of a loop whose number the data decide: what they carry, of which shapes, and what they add to lists. */
import { UserError } from '../../base/errors.js';
import { tf } from '../../base/tfjs/core.js';
import { type OnnxruntimeBackend, recorder } from '../../onnx/backend/onnxruntime-backend.js';
import type { TensorRecord } from '../../onnx/backend/record.js';
import { sameNumbers } from '../../onnx/layout.js';
import { type Grown, LOOP_BEGIN, LOOP_END } from '../../onnx/lowerings/loop.js';
import { dependsOnData } from './branches.js';
import { nextLength, nextLoop } from './dynamic-lengths.js';
import { type Addition, additionsOf, changesList, isAddedTo, type List } from './loop-lists.js';

/** What a round makes of the values it starts with, and whether there is another. */
type RunRound = (starts: tf.Tensor[]) => Promise<{ ends: tf.Tensor[]; again: tf.Tensor }>;

/** A shape before the first round, and by how much each axis grows in a round. */
interface Growing {
  shape: readonly number[];
  growth: readonly number[];
}

/** A value that goes from round to round, before the first. */
interface Carried extends Growing {
  first: tf.Tensor;
}

/** Shapes of several values, and the number of the length that tells how often they have grown. */
interface Lengths {
  shapes: readonly (readonly number[])[];
  grown?: Grown;
}

/** In place of a length 0, for which few kernels can be traced. */
const SOME = 2;
/** Rounds that a value has grown by when a round is traced. */
const GROWN_BY = [7, 5, 12] as const;

export class Rounds {
  private readonly loop = nextLoop();

  /** @param lists  that the loop can reach */
  constructor(
    private readonly name: string,
    private readonly isFirst: tf.Tensor,
    private readonly lists: readonly List[],
    private readonly run: RunRound,
  ) {}

  /** The values after the last round, and what lists hold then. */
  async trace(firsts: readonly tf.Tensor[]): Promise<{ ends: tf.Tensor[]; scans: Map<List, tf.Tensor> }> {
    const carried = await this.explore(firsts);
    const start = this.lengths(carried);
    const starts = this.begin(carried, start);
    const { result, additions } = await additionsOf(this.lists, this.name, () => this.run(starts));
    const { ends, again } = result;
    carried.forEach(({ first, growth }, i) => {
      const expected = start.shapes[i].map((length, axis) => length + growth[axis]);
      if (ends[i].dtype !== first.dtype || !sameNumbers(ends[i].shape, expected))
        throw this.changes(i, starts[i], ends[i]);
    });
    const counters = starts.filter((one, i) => isZero(carried[i].first) && isNext(one, ends[i]));
    const added = [...additions].filter(([, values]) => values.length > 0);
    const values = added.map(([list, some]) => this.onlyValue(list, some, counters));
    const scanned = values.map(({ shape }) => ({ shape: [0, ...shape], growth: [1, ...shape.map(() => 0)] }));
    recorder.enterScope(this.name);
    const lengths = this.lengths([...carried, ...scanned]);
    const results = run(LOOP_END, [starts[0], truth(again), ...ends, ...values], { loop: this.loop, ...lengths });
    return { ends: results, scans: new Map(added.map(([list], i) => [list, results[ends.length + i]])) };
  }

  /** Follows a round once, to see what becomes of types and lengths. */
  private async explore(firsts: readonly tf.Tensor[]): Promise<Carried[]> {
    const shapes = firsts.map(({ shape }) => shape.map((length) => length || SOME));
    const starts = this.begin(
      firsts.map((first) => ({ first })),
      { shapes },
    );
    const { ends } = (await additionsOf(this.lists, this.name, () => this.run(starts))).result;
    return firsts.map((first, i) => {
      const growth = ends[i].shape.map((length, axis) => length - shapes[i][axis]);
      if (growth.length !== first.rank || growth.some((by) => by < 0)) throw this.changes(i, starts[i], ends[i]);
      return { first: tf.cast(first, ends[i].dtype), shape: first.shape, growth };
    });
  }

  private begin(carried: readonly Pick<Carried, 'first'>[], lengths: Lengths): tf.Tensor[] {
    recorder.enterScope(this.name);
    const firsts = carried.map(({ first }) => first);
    return run(LOOP_BEGIN, [truth(this.isFirst), ...firsts], { loop: this.loop, ...lengths });
  }

  /** Shapes after as many rounds as the trace chooses. */
  private lengths(values: readonly Growing[]): Lengths {
    const growing = values.flatMap(({ shape, growth }, value) =>
      growth.flatMap((by, axis) => (by > 0 ? [{ value, axis, by, from: shape[axis] }] : [])),
    );
    if (growing.length === 0) return { shapes: values.map(({ shape }) => shape) };
    const { value, axis, by, from } = growing.reduce((least, other) => (other.by < least.by ? other : least));
    const [low, lower, high] = GROWN_BY.map((rounds) => from + rounds * by);
    const { index, length } = nextLength('grown', `how many rounds ${this.name} takes`, [low, lower, high]);
    const rounds = (length - from) / by;
    const shapes = values.map(({ shape, growth }) => shape.map((n, a) => n + rounds * growth[a]));
    return { shapes, grown: { index, value, axis } };
  }

  /** What a round adds to a list, which has to be one value, after those of the rounds before. */
  private onlyValue(list: List, added: readonly Addition[], counters: readonly tf.Tensor[]): tf.Tensor {
    const [{ value, index }] = added;
    const isLast = index === undefined || counters.some((counter) => recordOf(counter) === recordOf(index));
    if (added.length === 1 && isLast && list.size() === 0 && !isAddedTo(list)) return value;
    throw changesList(this.name);
  }

  private changes(i: number, start: tf.Tensor, end: tf.Tensor): UserError {
    const text = ({ dtype, shape }: tf.Tensor) => `${dtype} [${shape.join(', ')}]`;
    return new UserError(
      `${this.name}: a loop whose number of rounds depends on data turns its value ${i} from ${text(start)} into ` +
        `${text(end)}; a file can carry values of one shape, or that grow by the same in every round. Cut the model ` +
        'before it with outputs (--outputs)',
    );
  }
}

const run = (kernel: string, inputs: tf.Tensor[], attrs: object) =>
  tf.engine().runKernel(kernel, inputs as never, attrs as never) as unknown as tf.Tensor[];

const truth = (condition: tf.Tensor) => tf.reshape(tf.cast(condition, 'bool'), []);

const recordOf = ({ dataId }: tf.Tensor): TensorRecord => (tf.backend() as OnnxruntimeBackend).recordOf(dataId);

const isZero = (first: tf.Tensor) => first.size === 1 && !dependsOnData(first) && first.dataSync()[0] === 0;

/** True for a number and the same plus one. */
function isNext(start: tf.Tensor, end: tf.Tensor): boolean {
  const call = recordOf(end).source?.call;
  const record = recordOf(start);
  if (call?.kernel !== 'Add' || !call.inputs.includes(record)) return false;
  const step = call.inputs.find((input) => input !== record) as TensorRecord | undefined;
  return step !== undefined && !recorder.dependsOnInput(step) && (step.values as Float32Array)[0] === 1;
}
