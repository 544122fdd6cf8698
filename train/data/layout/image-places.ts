/** Places of images in data sets. */

/** Where an image belongs; `split` is absent if the source has no splits. */
export interface SplitAndClass {
  split?: string;
  className: string;
}
