/** What the page shows of an image: the image or, if this browser cannot decode it, what the server made of it. */
import { useEffect } from 'preact/hooks';
import { ask, whole } from '../server/request.js';
import { useTask } from '../server/use-task.js';
import type { Source, Subject } from '../subject.js';

/** Whether this browser can show an image; it knows once it has its size. */
export function isShowable(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const trial = document.createElement('img');
    trial.onload = () => resolve(true);
    trial.onerror = () => resolve(false);
    trial.src = url;
  });
}

export function useSource({ image, target, epoch, answer }: Omit<Subject, 'source'>): Source {
  const needed = image?.showable === false && answer !== undefined;
  const { task } = useTask(
    async (signal) => {
      const response = await ask('explain/picture', { ...target }, signal, image!.blob);
      return URL.createObjectURL(await whole(response.blob()));
    },
    [image, target, epoch],
    needed,
  );
  const made = needed && task.state === 'done' ? task.value : undefined;
  useEffect(() => (made === undefined ? undefined : () => URL.revokeObjectURL(made)), [made]);
  if (image?.showable !== false) return { url: image?.url };
  const note = 'this browser cannot show it';
  if (made !== undefined) return { url: made, note: `${note}, so this is what the server made of it` };
  return { note };
}
