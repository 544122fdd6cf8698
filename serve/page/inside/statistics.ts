/** What a map's drawing shows, as numbers. */

export interface MapStatistics {
  largest: number;
  /** Of the largest value. */
  row: number;
  column: number;
  mean: number;
  /** Share of values that are exactly 0: what ReLU leaves of negative sums. */
  zeros: number;
}

export function statisticsOf(map: Float32Array, width: number): MapStatistics {
  let [at, sum, zeros] = [0, 0, 0];
  for (let i = 0; i < map.length; i++) {
    sum += map[i];
    if (map[i] === 0) zeros++;
    if (map[i] > map[at]) at = i;
  }
  return {
    largest: map[at],
    row: Math.floor(at / width),
    column: at % width,
    mean: sum / map.length,
    zeros: zeros / map.length,
  };
}

/** The maps of a tensor [channels, height, width], each a view into it. */
export function mapsOf({ shape, values }: { shape: readonly number[]; values: Float32Array }): Float32Array[] {
  const size = values.length / shape[0];
  return Array.from({ length: shape[0] }, (_, i) => values.subarray(i * size, (i + 1) * size));
}
