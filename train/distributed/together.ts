import type { Communicator } from './communicator.js';
import type { GradientType } from './gradient-sum.js';

/** The processes that update together, and how they send each other gradients. */
export interface Together {
  group: Communicator;
  gradientType: GradientType;
}
