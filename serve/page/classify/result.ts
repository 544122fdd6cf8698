/** What a classification asks for, and its result. */
import type { Classified } from '../server/answers.js';

export const QUERY = { by_crop: true };

export interface Result {
  answer: Classified;
  /** From the request to the whole answer, as seen from here. */
  roundTripMs: number;
}
