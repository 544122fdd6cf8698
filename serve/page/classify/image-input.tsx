/** Every way to give an image: drop it anywhere, paste it, choose a file, take a photograph, take a sample. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure } from '../parts/answer.js';
import { ask } from '../server/request.js';
import type { Image } from '../subject.js';
import { Camera, hasCamera } from './camera.js';

interface ImageInputProps {
  show(image: Image): void;
}

/** Phones turn what they store into one of these for whoever asks. */
const TYPES = 'image/jpeg,image/png,image/webp,image/gif,image/avif';

export function ImageInput({ show }: ImageInputProps) {
  const [error, setError] = useState<unknown>();
  const [hovering, setHovering] = useState(false);
  const [camera, setCamera] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const phone = useRef<HTMLInputElement>(null);
  const take = (blob: Blob, name: string) => {
    setError(undefined);
    show({ blob, name, url: URL.createObjectURL(blob) });
  };
  usePasteAndDrop(take, setError, setHovering);

  const chosen = (input: HTMLInputElement) => {
    const [first] = input.files ?? [];
    if (first) take(first, first.name);
    input.value = ''; // the same file again is a change too
  };
  return (
    <div class={hovering ? 'drop hovering' : 'drop'}>
      <p class="ways">
        <span>Drop an image anywhere on this page or paste one, or</span>
        <button type="button" class="main" onClick={() => file.current!.click()}>
          Choose a file
        </button>
        <button type="button" onClick={() => (hasCamera() ? setCamera(true) : phone.current!.click())}>
          Take a photograph
        </button>
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
      <Samples take={take} fail={setError} />
      {error !== undefined && <Failure error={error} />}
    </div>
  );
}

type Take = (blob: Blob, name: string) => void;

function Samples({ take, fail }: { take: Take; fail(error: unknown): void }) {
  const fetchSample = async ({ name, url }: (typeof SAMPLES)[number]) => {
    try {
      take(await (await ask(url, {})).blob(), `${name}.png`);
    } catch (error) {
      fail(error);
    }
  };
  return (
    <>
      <ul class="samples" aria-label="Samples">
        {SAMPLES.map((sample) => (
          <li key={sample.name}>
            <button type="button" onClick={() => fetchSample(sample)}>
              <img src={sample.url} alt={sample.name} width="64" height="64" />
            </button>
          </li>
        ))}
      </ul>
      <p class="aside">Samples: drawings of Twemoji, © Twitter and contributors, {SAMPLES_LICENCE}.</p>
    </>
  );
}

/** On the whole document: nobody need aim. */
function usePasteAndDrop(take: Take, fail: (error: unknown) => void, hover: (hovering: boolean) => void): void {
  useEffect(() => {
    const from = (data: DataTransfer | null, what: string) => {
      const image = [...(data?.files ?? [])].find(({ type }) => type.startsWith('image/')) ?? data?.files[0];
      if (image) take(image, image.name || 'picture.png');
      else fail(new Error(`what was ${what} holds no file; save the image first, or copy the image itself`));
    };
    const paste = (event: ClipboardEvent) => from(event.clipboardData, 'pasted');
    const drop = (event: DragEvent) => {
      event.preventDefault();
      hover(false);
      from(event.dataTransfer, 'dropped');
    };
    const over = (event: DragEvent) => {
      event.preventDefault(); // else the browser opens the file in place of this page
      hover(true);
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) hover(false);
    };
    document.addEventListener('paste', paste);
    document.addEventListener('drop', drop);
    document.addEventListener('dragover', over);
    document.addEventListener('dragleave', leave);
    return () => {
      document.removeEventListener('paste', paste);
      document.removeEventListener('drop', drop);
      document.removeEventListener('dragover', over);
      document.removeEventListener('dragleave', leave);
    };
  }, [take, fail, hover]);
}
