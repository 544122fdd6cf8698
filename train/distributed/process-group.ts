import type { Communicator } from './communicator.js';
import type { GradientType } from './gradient-sum.js';

/** The processes that update together, and how they send each other gradients. */
export interface ProcessGroup {
  group: Communicator;
  gradientType: GradientType;
}
