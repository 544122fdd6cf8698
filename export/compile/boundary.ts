/** Order of an image's axes where a file takes and gives it. */
import { identity, type Layout, NCHW } from '../../onnx/layout.js';

/** As the model has it, channels last, channels first. */
export const LAYOUTS = ['model', 'nhwc', 'nchw'] as const;
export type Layouts = (typeof LAYOUTS)[number];

/** NHWC in memory of a tensor [N, C, H, W]. */
const NHWC_OF_NCHW: Layout = [0, 2, 3, 1];

/** Memory order of 4-D inputs and outputs. */
export function boundaryLayout(channelsFirst: boolean, wanted: Layouts): Layout {
  if (wanted === 'model' || (wanted === 'nchw') === channelsFirst) return identity(4);
  return channelsFirst ? NHWC_OF_NCHW : NCHW;
}
