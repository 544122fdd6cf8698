/** One map over the crop that it was computed from, each of its pixels where the middle of what it sees lies. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { Cutting } from '../classify/crop-tiles.js';
import type { Layer, Layers } from '../server/answers.js';
import type { Subject } from '../subject.js';
import { pixelsOf, rangeOf } from './maps.js';
import { usePixels } from './use-pixels.js';

interface EnlargedProps {
  layer: Layer;
  layers: Layers;
  map: Float32Array;
  /** Height and width of the map. */
  size: number[];
  subject: Subject;
  /** What it shows, in words. */
  children: ComponentChildren;
}

export function Enlarged({ layer, layers, map, size, subject, children }: EnlargedProps) {
  const [strength, setStrength] = useState(70);
  const canvas = usePixels(() => pixelsOf(map, size, rangeOf(map)), [map, size[0], size[1]]);
  const { source, crop, shape } = subject;
  if (!crop || !shape) return null;
  return (
    <figure class="enlarged">
      <div class="square">
        <Cutting crop={crop} shape={shape} source={source} />
        <canvas
          ref={canvas}
          role="img"
          aria-label="The map over the crop"
          style={{ ...placeOf(layer, layers, size), opacity: strength / 100 }}
        />
      </div>
      <figcaption>
        <p>{children}</p>
        <label>
          Map over image
          <input
            type="range"
            min={0}
            max={100}
            value={strength}
            onInput={(event) => setStrength(Number(event.currentTarget.value))}
          />
        </label>
      </figcaption>
    </figure>
  );
}

/** The whole crop, where it is not known what the layer's pixels see. */
function placeOf({ receptive_field: seen }: Layer, { input }: Layers, [height, width]: number[]) {
  const [, inputHeight, inputWidth] = input.shape;
  if (!seen) return { inset: 0, width: '100%', height: '100%' };
  const first = seen.start + (seen.size - seen.stride) / 2;
  return {
    inset: 'auto',
    top: `${(100 * first) / inputHeight}%`,
    left: `${(100 * first) / inputWidth}%`,
    height: `${(100 * seen.stride * height) / inputHeight}%`,
    width: `${(100 * seen.stride * width) / inputWidth}%`,
  };
}
