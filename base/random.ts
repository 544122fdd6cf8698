/**
 * Reproducible random numbers. Every draw of a run comes from a stream named by what it is for (`seed`, epoch, image,
 * layer), so that a resumed run continues bit for bit without storing generator states.
 */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** A stream of uniform numbers. */
export interface Random {
  /** The next 32 random bits, 0 to 2³² − 1. */
  bits(): number;
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Uniform integer, 0 to `below` − 1. */
  integer(below: number): number;
  /** Normal with mean 0 and standard deviation 1 (Box and Muller). */
  normal(): number;
}

/** FNV-1a over the parts' text, then a finaliser: near names give unrelated seeds. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}

/**
 * The stream named by `parts`, e.g. `random(seed, 'augment', epoch, image)`. Equal parts give equal numbers on every
 * machine.
 */
export function random(...parts: (string | number)[]): Random {
  const generator = xoroshiro128plus(hash(parts.join('/')));
  const bits = () => generator.next() >>> 0;
  const uniform = () => bits() / 0x1_0000_0000;
  return {
    bits,
    uniform,
    integer: (below) => Math.floor(uniform() * below),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/** A permutation of 0 … length − 1 (Fisher and Yates). */
export function permutation(length: number, stream: Random): Uint32Array {
  const order = Uint32Array.from({ length }, (_, index) => index);
  for (let last = length - 1; last > 0; last--) {
    const other = stream.integer(last + 1);
    const kept = order[last];
    order[last] = order[other];
    order[other] = kept;
  }
  return order;
}
