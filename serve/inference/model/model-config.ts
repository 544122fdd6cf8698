/** What the description of a model that does not describe itself comes to, in any of its forms. */
import type { z } from 'zod';
import type { Resampling, Size } from '../../../base/image/resample.js';
import type { OwnConfig } from '../../../onnx/file/classifier-schema.js';

type Parsed = z.infer<typeof OwnConfig>;

/** What either description comes to. */
export interface ModelConfig extends Pick<Parsed, 'synsets' | 'crops' | 'output'> {
  labels?: string[];
  input: Pick<Parsed['input'], 'layout' | 'channels' | 'scale' | 'mean' | 'std'> & {
    /** Where neither `layout` nor the graph tells. */
    usualLayout?: 'NCHW';
    size?: Size;
    /** A number: of the short side. `keep`: cut out as it is; `exact`: of the model's size already. */
    resize?: number | Size | 'keep' | 'exact';
    resampling?: Resampling;
    /** This and the next: see `Decoding`. */
    shortSide?: number;
    oddMargin?: boolean;
  };
  /** Whether labels exclude each other, if the file says so. */
  problem?: 'single_label' | 'multi_label';
  /** For people: where it stands. */
  place: string;
  /** For people, one line each. */
  notes: string[];
}

export function sidesOf(size: number | Size | undefined): Size | undefined {
  return typeof size === 'number' ? { width: size, height: size } : size;
}
