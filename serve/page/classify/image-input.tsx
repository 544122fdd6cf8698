/** Every way to give an image: drop it anywhere, paste it, choose a file, take a photograph, take a sample. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { IMAGE_FORMATS } from '../../../base/image/formats.js';
import { Failure } from '../parts/answer.js';
import type { Labels } from '../server/answers.js';
import type { Image } from '../subject.js';
import { Camera, hasCamera } from './camera.js';
import { fetchSample, SampleList, samplesFor } from './samples.js';
import { shrunk } from './shrink.js';
import { usePasteAndDrop } from './use-paste-and-drop.js';
import { isShowable } from './use-source.js';

interface ImageInputProps {
  /** What the model knows; undefined until that is known. */
  known?: Labels;
  /** @param byHand  someone chose it, and wants to see what comes of it */
  show(image: Image, byHand: boolean): void;
}

/** Phones turn what they store into one of these for whoever asks. */
const TYPES = IMAGE_FORMATS.filter(({ name }) => name !== 'HEIC')
  .map(({ name }) => `image/${name.toLowerCase()}`)
  .join();

export function ImageInput({ known, show }: ImageInputProps) {
  const [error, setError] = useState<unknown>();
  const [camera, setCamera] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const phone = useRef<HTMLInputElement>(null);
  const { take, preparing } = useTaking(known?.image_px, show, setError);
  const hovering = usePasteAndDrop((blob, name) => take(blob, name), setError);
  const samples = known && samplesFor(known.labels);
  const takeSample = (sample: Sample, byHand: boolean) => take(fetchSample(sample), sample.file, byHand);
  useEffect(() => {
    if (samples) takeSample(samples.list[0], false);
  }, [samples !== undefined]);

  const chosen = (input: HTMLInputElement) => {
    const [first] = input.files ?? [];
    if (first) take(first, first.name);
    input.value = ''; // the same file again is a change too
  };
  return (
    <div class="drop">
      <p class="ways">
        <button type="button" class="main" onClick={() => file.current!.click()}>
          Choose a file
        </button>
        <button type="button" onClick={() => (hasCamera() ? setCamera(true) : phone.current!.click())}>
          Take a photograph
        </button>
        <span class="with-mouse">or drop or paste one anywhere</span>
      </p>
      <input ref={file} type="file" accept={TYPES} tabIndex={-1} hidden onChange={(e) => chosen(e.currentTarget)} />
      <input
        ref={phone}
        type="file"
        accept={TYPES}
        capture="environment"
        tabIndex={-1}
        hidden
        onChange={(e) => chosen(e.currentTarget)}
      />
      {camera && <Camera take={take} close={() => setCamera(false)} />}
      {samples && <SampleList samples={samples} choose={(sample) => takeSample(sample, true)} />}
      <p class="aside" role="status">
        {preparing && 'Making the image small enough to send…'}
      </p>
      {error !== undefined && <Failure error={error} />}
      {hovering && <div class="overlay">Drop the image anywhere</div>}
    </div>
  );
}

type Show = ImageInputProps['show'];

/** From a file to an image that is shown. Where another is given meanwhile, that one counts. */
function useTaking(neededPx: number | undefined, show: Show, fail: (error: unknown) => void) {
  const [preparing, setPreparing] = useState(false);
  const latest = useRef(0);
  const take = async (given: Blob | Promise<Blob>, name: string, byHand = true) => {
    if (!byHand && latest.current > 0) return;
    const own = ++latest.current;
    fail(undefined);
    setPreparing(true);
    try {
      const original = await given;
      const blob = await shrunk(original, neededPx);
      const url = URL.createObjectURL(blob);
      const showable = await isShowable(url);
      if (own === latest.current) show({ blob, name, url, showable, bytes: original.size }, byHand);
      else URL.revokeObjectURL(url);
    } catch (error) {
      if (own === latest.current) fail(error);
    }
    if (own === latest.current) setPreparing(false);
  };
  return { take, preparing };
}
