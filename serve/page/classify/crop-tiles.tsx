/** What the network looks at, crop by crop, with each crop's own first label. One of them can be chosen. */
import { percent } from '../parts/numbers.js';
import type { Classified, Crop } from '../server/answers.js';
import type { Picture } from '../subject.js';

interface CropTilesProps {
  crops: Classified['by_crop'];
  imagePx: number;
  picture: Picture;
  chosen: number;
  choose(number: number): void;
}

export function CropTiles({ crops, imagePx, picture, chosen, choose }: CropTilesProps) {
  return (
    <fieldset class="crops" style={{ '--upright': crops.filter(({ mirror }) => !mirror).length }}>
      <legend class="hidden">Crop that the views below look into</legend>
      {crops.map((crop, i) => {
        const [best] = crop.predictions;
        return (
          <label key={crop.name}>
            <input type="radio" name="crop" checked={i === chosen} onChange={() => choose(i)} />
            <Cutting crop={crop} imagePx={imagePx} picture={picture} />
            <span class="where">{crop.name}</span>
            <span class="what">
              {best.label} <span class="percent">{percent(best.probability)}</span>
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}

/** The whole picture behind a window: the browser cuts, nothing is decoded twice. */
export function Cutting({ crop, imagePx, picture }: { crop: Crop; imagePx: number; picture: Picture }) {
  const share = (px: number) => `${(100 * px) / crop.size}%`;
  return (
    <span class={crop.mirror ? 'cutting mirrored' : 'cutting'}>
      <img
        src={picture.url}
        alt=""
        style={{ width: share(imagePx), height: share(imagePx), left: share(-crop.left), top: share(-crop.top) }}
      />
    </span>
  );
}
