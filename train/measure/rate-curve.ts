/**
 * What a range test of learning rates tells (Smith 2015, "Cyclical learning rates for training neural networks", §3.3):
 * the loss over a rate that rises exponentially, smoothed; where it falls most steeply, and from where on it is worse
 * than at the start.
 */

/** Loss of the batch at one rate; rates rise by the same factor from point to point. */
export interface RatePoint {
  learningRate: number;
  loss: number;
}

export interface RateCurve {
  points: (RatePoint & { smoothed: number })[];
  /** Where the smoothed loss falls most for a rise of the rate by a factor: the rate to try. null if it never falls. */
  steepest: number | null;
  /** Rate of the lowest smoothed loss. */
  lowest: number;
  /**
   * The first rate after the lowest with a smoothed loss above that of the start, or none at all; null if there is no
   * such.
   */
  divergence: number | null;
}

/** Losses are averaged over this share of the points on either side: 11 of 100. */
const SMOOTHED_SHARE = 1 / 20;
/** Losses above this times the first are counted as that: one of thousands would lift the average of its neighbours. */
const CAP = 2;
/**
 * A fall or a rise by less than this share of the first loss is none, nor one by less than three deviations of the
 * noise.
 */
const LEAST_CHANGE = 0.005;

/**
 * @param points  at least 1, with a finite loss; that of the last may be NaN or infinite, then training broke down
 *   there
 */
export function rateCurve(points: RatePoint[]): RateCurve {
  const finite = points.filter(({ loss }) => Number.isFinite(loss));
  const brokeAt = points.find(({ loss }) => !Number.isFinite(loss))?.learningRate ?? null;
  const side = Math.max(1, Math.round(points.length * SMOOTHED_SHARE));
  const smoothed = smooth(finite, side);
  const lowest = smoothed.indexOf(Math.min(...smoothed));
  const least = Math.max(LEAST_CHANGE * smoothed[0], 3 * noise(finite, smoothed));
  const rose = smoothed.findIndex((loss, i) => i > lowest && loss > smoothed[0] + least);
  return {
    points: finite.map((point, i) => ({ ...point, smoothed: smoothed[i] })),
    steepest: smoothed[lowest] > smoothed[0] - least ? null : finite[steepest(smoothed, lowest, side)].learningRate,
    lowest: finite[lowest].learningRate,
    divergence: rose < 0 ? brokeAt : finite[rose].learningRate,
  };
}

function smooth(points: RatePoint[], side: number): number[] {
  const cap = CAP * points[0].loss;
  return points.map((_, i) => {
    const near = points.slice(Math.max(0, i - side), i + side + 1);
    return near.reduce((sum, { loss }) => sum + Math.min(loss, cap), 0) / near.length;
  });
}

/** Deviation of the losses from the smoothed ones in the first quarter, where the rate is too low to matter. */
function noise(points: RatePoint[], smoothed: number[]): number {
  const count = Math.ceil(points.length / 4);
  const squares = points.slice(0, count).map(({ loss }, i) => (loss - smoothed[i]) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / count);
}

/** Index of the middle of the largest fall between points that are 2 · side apart, none after `end`. */
function steepest(smoothed: number[], end: number, side: number): number {
  const falls = smoothed.slice(0, Math.max(1, end - side + 1)).map((_, i) => {
    const [from, to] = [Math.max(0, i - side), Math.min(end, i + side)];
    return (smoothed[from] - smoothed[to]) / (to - from || 1);
  });
  return falls.indexOf(Math.max(...falls));
}
