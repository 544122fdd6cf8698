/**
 * What the page is about just now: the image, the model that looks at it, the crop that views inside the network use.
 */
import type { Classified, Crop } from './server/answers.js';
import type { Target } from './server/request.js';

export interface Image {
  blob: Blob;
  /** As the file was called. */
  name: string;
  /** Of the blob, for `<img>`. */
  url: string;
  /** This browser can decode it; the server knows more formats. */
  showable: boolean;
  /** Of the file, before it was made smaller. */
  bytes: number;
}

/** Pixels of the image that crops are cut from, and how it gets that shape. */
export interface Shape {
  width: number;
  height: number;
  fit: 'cut' | 'stretch';
}

export function shapeOf({ image_px: width, image_height: height = width, image_fit: fit }: Classified): Shape {
  return { width, height, fit };
}

/** What is seen of the image. */
export interface Source {
  /** For `<img>`; undefined while there is none. */
  url?: string;
  /** Why that is not the image itself. */
  note?: string;
}

export interface Subject {
  image?: Image;
  source: Source;
  target: Target;
  /** Which crop, and where it lies; undefined until an image has been classified. */
  crop?: Crop & { number: number };
  /** What the image becomes before it is cut into crops. */
  shape?: Shape;
  answer?: Classified;
  /** What the model knows, by index. */
  labels?: string[];
  /** The server has an index of images for the model. */
  indexed: boolean;
  /** Changes when the server has come back or has reloaded the model: what was learnt of it is asked for again. */
  epoch: string;
}
