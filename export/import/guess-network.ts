/** The network that a file's weights are of, if nobody says it. */
import { UserError } from '../../base/errors.js';
import { findNetwork, NETWORKS } from '../../model/registry.js';
import type { NetworkSpec } from '../../model/spec.js';
import { hasOrder } from './compare-graph.js';
import { classesOf, fitsNetwork } from './fit-weights.js';
import type { OpenedFile } from './open-source.js';
import type { Source } from './source.js';

/** @returns  and a line that says what else it may be, if its layers do not tell. @throws {UserError} if none fits */
export function guessNetwork(
  file: string,
  opened: OpenedFile,
  width: number | undefined,
): { spec: NetworkSpec; source: Source; warning?: string } {
  const own = sourceFor(opened, NETWORKS.alexnet)?.own;
  if (own) {
    const spec = findNetwork(own.model);
    return { spec, source: opened(spec) };
  }
  const fitting = Object.values(NETWORKS).flatMap((spec) => {
    const source = sourceFor(opened, spec);
    return source && fitsNetwork(source, spec, { classes: classesOf(source, spec), width }) ? [{ spec, source }] : [];
  });
  const ordered = fitting.filter(({ spec, source }) => source.graph && hasOrder(source.graph.order, spec));
  const [found, ...others] = ordered.length > 0 ? ordered : fitting;
  if (!found) {
    const names = Object.keys(NETWORKS).join(', ');
    throw new UserError(
      `${file}: its layers are of none of the networks (${names}); "alexnet import" with --model NAME shows where they differ from one`,
    );
  }
  if (others.length === 0) return found;
  const names = others.map(({ spec }) => `--model ${spec.name}`).join(' or ');
  return {
    ...found,
    warning: `its layers fit several networks; taken is ${found.spec.name}; if it is another, give ${names}`,
  };
}

function sourceFor(opened: OpenedFile, spec: NetworkSpec): Source | undefined {
  try {
    return opened(spec);
  } catch (error) {
    if (error instanceof UserError) return undefined; // it cannot be this one
    throw error;
  }
}
