/** What views need to open a model. Apart, so that the declarations of `alexnet/serve` need no protobuf types. */
import type { ProviderChoice } from '../../../onnx/backend/provider.js';

export interface NetworkOptions {
  /** Path of the `.onnx` file. */
  file: string;
  /** Folders in which the files of the model may lie, as real paths; undefined for its own. */
  roots?: readonly string[];
  /** Width × height above which an image is refused. */
  maxPixels: number;
  /** Threads; undefined for one per core. */
  threads?: number;
  /** Of the network; what cuts the crops out is too little for a GPU. Default: the CPU. */
  provider?: ProviderChoice;
  /** Told what computes, in a line; only within this process. */
  log?: (line: string) => void;
}
