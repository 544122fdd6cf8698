/** The networks by name, and variants of them, see `variant.ts`. */

import { UserError } from '../base/errors.js';
import { suggest } from '../base/nearest.js';
import { ALEXNET } from './alexnet.js';
import { ALEXNET_TORCHVISION } from './alexnet-torchvision.js';
import { CAFFENET } from './caffenet.js';
import { CIFAR10_11PCT, CIFAR10_18PCT, CIFAR10_QUICK } from './cifar10.js';
import type { NetworkName, NetworkSpec } from './spec.js';
import { editNetwork } from './variant.js';

export const NETWORKS: Record<NetworkName, NetworkSpec> = {
  alexnet: ALEXNET,
  'alexnet-torchvision': ALEXNET_TORCHVISION,
  caffenet: CAFFENET,
  'cifar10-18pct': CIFAR10_18PCT,
  'cifar10-11pct': CIFAR10_11PCT,
  'cifar10-quick': CIFAR10_QUICK,
};

/**
 * @param name  `alexnet`, or with edits: `alexnet.no-conv4.pool2`
 * @throws {UserError} naming the networks there are and the nearest one, or the edits
 */
export function findNetwork(name: string): NetworkSpec {
  const [base, ...edits] = name.split('.');
  if (Object.hasOwn(NETWORKS, base)) return editNetwork(NETWORKS[base as NetworkName], edits);
  throw new UserError(`unknown network "${base}"${suggest(base, Object.keys(NETWORKS))}`);
}
