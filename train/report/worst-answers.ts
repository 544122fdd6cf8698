/** The answers with the greatest losses of any number, without keeping all. */
import type { ImagePrediction } from '../evaluate/evaluate.js';

/** `index`: the image's position in its split. */
export type RankedAnswer = ImagePrediction & { index: number };

export class WorstAnswers {
  /** Greatest loss first; of equal ones the earlier image. */
  readonly answers: RankedAnswer[] = [];

  constructor(private readonly count: number) {}

  add(prediction: ImagePrediction, index: number): void {
    const { answers, count } = this;
    if (answers.length === count && answers[count - 1].loss >= prediction.loss) return;
    answers.push({ ...prediction, index });
    answers.sort((a, b) => b.loss - a.loss || a.index - b.index);
    answers.length = Math.min(answers.length, count);
  }
}
