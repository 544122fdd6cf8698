/** The static site's page: an image in, five labels out. A worker computes, so that the page stays quick. */
import type { Prediction } from '../../served-model.js';
import type { FromWorker, ToWorker } from './messages.js';

const find = <T extends Element>(selector: string): T => document.querySelector<T>(selector)!;
const [status, bars] = [find<HTMLElement>('#status'), find<HTMLOListElement>('.bars')];
const [figure, img] = [find<HTMLElement>('figure'), find<HTMLImageElement>('img')];
const input = find<HTMLInputElement>('input');
/** Images of smaller sides are shown enlarged. */
const SMALL_PX = 256;

/** @throws Error if browsers do not let the page load its files */
function startWorker(): Worker {
  if (location.protocol !== 'file:') return new Worker(new URL('worker.js', document.baseURI), { type: 'module' });
  const says = 'Browsers load a model from a web server only, not from a file: run "npx http-server" in this folder.';
  status.textContent = says;
  throw new Error(says);
}

const worker = startWorker();
let asked = 0;
let ready = '';

function classify(image: Blob): void {
  URL.revokeObjectURL(img.src);
  img.src = URL.createObjectURL(image);
  bars.replaceChildren();
  if (ready !== '') status.textContent = 'Classifying…';
  asked += 1;
  worker.postMessage({ id: asked, image } satisfies ToWorker);
}

function hideImage(): void {
  URL.revokeObjectURL(img.src);
  img.removeAttribute('src'); // it may still be loading
  figure.hidden = true;
}

function show(predictions: readonly Prediction[]): void {
  const part = (className: string, text = '') => {
    const element = document.createElement('span');
    element.className = className;
    element.textContent = text;
    return element;
  };
  bars.replaceChildren(
    ...predictions.map(({ label, probability }) => {
      const item = document.createElement('li');
      item.dataset.probability = String(probability);
      const [track, bar] = [part('track'), part('bar')];
      bar.style.width = `${100 * Math.min(1, Math.max(0, probability))}%`;
      track.append(bar);
      item.append(part('label', label), part('percent', `${(100 * probability).toFixed(1)} %`), track);
      return item;
    }),
  );
}

img.addEventListener('load', () => {
  figure.hidden = false;
  img.classList.toggle('small', Math.max(img.naturalWidth, img.naturalHeight) < SMALL_PX);
});
img.addEventListener('error', hideImage); // in its place browsers show an icon
worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
  switch (data.type) {
    case 'loading':
      status.textContent = `Loading the model: ${(data.bytes / 1e6).toFixed(0)} of ${(data.of / 1e6).toFixed(0)} MB`;
      break;
    case 'ready':
      document.title = data.name;
      find('#name').textContent = data.name;
      ready = `Runs on ${data.engine}.`;
      status.textContent = asked > 0 ? 'Classifying…' : ready;
      break;
    case 'failed':
      status.textContent = `The model cannot be loaded: ${data.message}`;
      break;
    case 'answer':
      if (data.id !== asked) break; // of an image before
      show(data.predictions);
      status.textContent = `${ready} ${data.ms.toFixed(0)} ms.`;
      break;
    case 'refused':
      if (data.id !== asked) break;
      hideImage();
      status.textContent = data.message;
  }
});
worker.addEventListener('error', ({ message }) => {
  status.textContent = `The page cannot run here: ${message ?? 'worker.js cannot be loaded; upload the site again'}`;
});

/** What is no image is taken too: the answer to it says so. */
function take(data: DataTransfer | null, what: string): void {
  const files = [...(data?.files ?? [])];
  const file = files.find(({ type }) => type.startsWith('image/')) ?? files[0];
  input.value = ''; // it would name another
  if (file) classify(file);
  else status.textContent = `What was ${what} holds no file; save the image first, or copy the image itself.`;
}

input.addEventListener('click', () => {
  input.value = ''; // the same file again is a change too
});
input.addEventListener('change', () => {
  const [file] = input.files ?? [];
  if (file) classify(file);
});
document.addEventListener('paste', ({ clipboardData }) => take(clipboardData, 'pasted'));
for (const type of ['dragover', 'dragleave', 'drop'] as const) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    document.body.classList.toggle('over', type === 'dragover');
    if (type === 'drop') take(event.dataTransfer, 'dropped');
  });
}
