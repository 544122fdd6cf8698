/**
 * Which class was taken for which: counts of images by true and predicted class, few of which occur where classes are
 * many.
 */

/** Of one class: its images, how many of them were taken for another, and for which most often. */
export interface ClassErrors {
  label: number;
  images: number;
  wrong: number;
  /** Of equally frequent ones the lower index; absent if all were right. */
  mistake?: { predicted: number; images: number };
}

/** The share of a class's images that were taken for another; NaN if there are none. */
export const errorOf = ({ wrong, images }: ClassErrors): number => wrong / images;

/** `images` of class `label` were taken for `predicted`. */
export interface ConfusedPair {
  label: number;
  predicted: number;
  images: number;
}

export class Confusion {
  /** By true class, then by predicted class. */
  private readonly rows: Map<number, number>[];

  constructor(readonly classes: number) {
    this.rows = Array.from({ length: classes }, () => new Map());
  }

  add(label: number, predicted: number): void {
    this.rows[label].set(predicted, this.at(label, predicted) + 1);
  }

  /** Images of class `label` that were taken for `predicted`. */
  at(label: number, predicted: number): number {
    return this.rows[label].get(predicted) ?? 0;
  }

  images(label: number): number {
    return [...this.rows[label].values()].reduce((sum, count) => sum + count, 0);
  }

  /** Every class, in index order. */
  byClass(): ClassErrors[] {
    return this.rows.map((_, label) => {
      const images = this.images(label);
      const [worst] = this.mistakesOf(label).sort(mostFirst);
      const mistake = worst && { predicted: worst.predicted, images: worst.images };
      return { label, images, wrong: images - this.at(label, label), ...(mistake && { mistake }) };
    });
  }

  /** Classes of which there are images, the greatest share of errors first; of equal ones the lower index. */
  worstFirst(): ClassErrors[] {
    const measured = this.byClass().filter(({ images }) => images > 0);
    return measured.sort((a, b) => errorOf(b) - errorOf(a) || a.label - b.label);
  }

  /** Pairs of different classes, the most confused first; of equal ones the lower indices first. */
  pairs(): ConfusedPair[] {
    return this.rows.flatMap((_, label) => this.mistakesOf(label)).sort(mostFirst);
  }

  private mistakesOf(label: number): ConfusedPair[] {
    const mistakes = [...this.rows[label]].filter(([predicted]) => predicted !== label);
    return mistakes.map(([predicted, images]) => ({ label, predicted, images }));
  }
}

function mostFirst(a: ConfusedPair, b: ConfusedPair): number {
  return b.images - a.images || a.label - b.label || a.predicted - b.predicted;
}
