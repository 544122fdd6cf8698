/** The networks by name. */
import { ALEXNET } from './alexnet.js';
import { ALEXNET_TORCHVISION } from './alexnet-torchvision.js';
import { CAFFENET } from './caffenet.js';
import { CIFAR10_11PCT, CIFAR10_18PCT, CIFAR10_QUICK } from './cifar10.js';
import { UserError } from './errors.js';
import { nearest } from './nearest.js';
import type { NetworkName, NetworkSpec } from './spec.js';

export const NETWORKS: Record<NetworkName, NetworkSpec> = {
  alexnet: ALEXNET,
  'alexnet-torchvision': ALEXNET_TORCHVISION,
  caffenet: CAFFENET,
  'cifar10-18pct': CIFAR10_18PCT,
  'cifar10-11pct': CIFAR10_11PCT,
  'cifar10-quick': CIFAR10_QUICK,
};

/**
 * @throws {UserError} naming the networks there are and the nearest one
 */
export function findNetwork(name: string): NetworkSpec {
  if (Object.hasOwn(NETWORKS, name)) return NETWORKS[name as NetworkName];
  const names = Object.keys(NETWORKS);
  throw new UserError(
    `unknown network "${name}"; did you mean ${nearest(name, names)}? There are: ${names.join(', ')}`,
  );
}
