/**
 * What `output-ending.ts` finds, in a file of its own: declarations that users get may not need those of onnx-proto.
 */
export interface Ending {
  /**
   * `softmax`: probabilities that sum to 1. `sigmoid`: each for itself. `logSoftmax`: logarithms of the former.
   * `logits`: unbounded.
   */
  kind: 'softmax' | 'sigmoid' | 'logSoftmax' | 'logits';
  /** Operator that gives them. */
  op: string;
  /** The value that it gives; the output holds the same numbers, or means of them. */
  value: string;
  /** The output may hold less or more than one row of it: a slice, or several joined. */
  partial: boolean;
  /** Softmax multiplied by a constant, such as 100 for per cent. */
  scaled?: boolean;
}
