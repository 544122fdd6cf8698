/** A channel before and after normalisation, on one scale each, with the chosen position marked. */
import type { Normalised } from '../server/answers.js';
import type { Tensor } from '../server/safetensors.js';
import { pixelsOf, rangeOf } from './maps.js';
import { mapsOf } from './statistics.js';
import { Scale } from './tile-sheet.js';
import { usePixels } from './use-pixels.js';

interface BeforeAfterProps {
  at: Normalised;
  before: Tensor;
  after: Tensor;
  choose(y: number, x: number): void;
}

export function BeforeAfter({ at, before, after, choose }: BeforeAfterProps) {
  return (
    <div class="pair">
      <MapAt tensor={before} at={at} choose={choose} title={`${at.input}, channel ${at.channel}: before`} />
      <MapAt tensor={after} at={at} choose={choose} title={`${at.layer}, channel ${at.channel}: after`} />
    </div>
  );
}

interface MapAtProps extends Pick<BeforeAfterProps, 'at' | 'choose'> {
  tensor: Tensor;
  title: string;
}

function MapAt({ tensor, at, choose, title }: MapAtProps) {
  const [, height, width] = tensor.shape;
  const map = mapsOf(tensor)[at.channel];
  const range = rangeOf(map);
  const canvas = usePixels(() => pixelsOf(map, [height, width], range), [tensor, at.channel]);
  const pick = ({ offsetX, offsetY }: MouseEvent) => {
    const { clientWidth, clientHeight } = canvas.current!;
    choose(Math.floor((offsetY / clientHeight) * height), Math.floor((offsetX / clientWidth) * width));
  };
  return (
    <figure>
      <div class="sheet">
        <canvas ref={canvas} role="img" aria-label={`${title}; numbers below`} onClick={pick} />
        <span
          class="spot"
          style={{ left: `${(100 * (at.x + 0.5)) / width}%`, top: `${(100 * (at.y + 0.5)) / height}%` }}
        />
      </div>
      <figcaption>
        {title}. <Scale {...range} />
      </figcaption>
    </figure>
  );
}
