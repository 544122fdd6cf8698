/** What the network looks at, crop by crop, with each crop's own first label. One of them can be chosen. */
import { percent, words } from '../parts/numbers.js';
import type { Classified, Crop } from '../server/answers.js';
import type { Shape, Source } from '../subject.js';

interface CropTilesProps {
  crops: Classified['by_crop'];
  shape: Shape;
  source: Source;
  chosen: number;
  choose(number: number): void;
}

export function CropTiles({ crops, shape, source, chosen, choose }: CropTilesProps) {
  return (
    <fieldset class="crops" style={{ '--upright': crops.filter(({ mirror }) => !mirror).length }}>
      <legend class="hidden">Crop that the views below look into</legend>
      {crops.map((crop, i) => {
        const [best] = crop.predictions;
        return (
          <label key={crop.name}>
            <input type="radio" name="crop" checked={i === chosen} onChange={() => choose(i)} />
            <Cutting crop={crop} shape={shape} source={source} />
            <span class="where">{crop.name}</span>
            <span class="what">
              {words(best.label)} <span class="percent">{percent(best.probability)}</span>
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}

/** The whole image behind a window: the browser cuts, nothing is decoded twice. */
export function Cutting({ crop, shape, source }: { crop: Crop; shape: Shape; source: Source }) {
  const { size: width, height = width } = crop;
  const share = (px: number, of: number) => `${(100 * px) / of}%`;
  return (
    <span class={crop.mirror ? 'cutting mirrored' : 'cutting'} style={{ aspectRatio: `${width} / ${height}` }}>
      {source.url && (
        <img
          src={source.url}
          alt=""
          style={{
            width: share(shape.width, width),
            height: share(shape.height, height),
            left: share(-crop.left, width),
            top: share(-crop.top, height),
            objectFit: shape.fit === 'stretch' ? 'fill' : 'cover',
          }}
        />
      )}
    </span>
  );
}
