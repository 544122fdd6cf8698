/** Places of images in data sets. */

/** Where an image belongs; `split` is absent if the source has no splits. */
export interface SplitAndClass {
  split?: string;
  className: string;
}

/** Which images to hold out of a data set without val and test, see `hold-out.ts`. */
export interface HoldOutRequest {
  /** Share of the images, at least 0 and below 1; default 0.2. */
  fraction?: number;
  /** Default 0. Not the seed of a run: runs that differ in that are compared on the same images. */
  seed?: number;
}

/** A division that can be made again, as a run or a pack keeps it. */
export interface HoldOut extends Required<HoldOutRequest> {
  /** Hashes of images that are held out, or trained on, against what their contents and the seed say. */
  val: string[];
  train: string[];
}

/** What was made of a source; `images` is 0 if it has a val/ or test/ of its own. */
export interface Division {
  holdOut: HoldOut;
  images: number;
  heldOut: number;
  /** What a person should know of the images that were divided, one sentence each. */
  notes: string[];
}
