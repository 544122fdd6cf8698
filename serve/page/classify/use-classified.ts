/** The image's classes, asked for again when the image or the model changes. */
import { useState } from 'preact/hooks';
import { path, type Target } from '../server/request.js';
import { upload } from '../server/upload.js';
import { type Running, useTask } from '../server/use-task.js';
import type { Image } from '../subject.js';
import { QUERY, type Result } from './result.js';

export interface Classifying {
  running: Running<Result>;
  /** Share of the image that has left. */
  sent: number;
}

export function useClassified(image: Image | undefined, target: Target, epoch: string): Classifying {
  const [sent, setSent] = useState(0);
  const running = useTask(
    (signal) => classify(image!, target, signal, setSent),
    [image, target, epoch],
    image !== undefined,
  );
  return { running, sent };
}

/** @throws as `upload`; Error where the file cannot be read */
async function classify(
  { blob }: Image,
  target: Target,
  signal: AbortSignal,
  sent: (share: number) => void,
): Promise<Result> {
  sent(0);
  // A request would fail as if the server were gone.
  await blob
    .slice(0, 1)
    .arrayBuffer()
    .catch((cause) => {
      throw new Error('the file cannot be read; is it a folder, or has it been moved?', { cause });
    });
  const started = performance.now();
  const answer = await upload(path('classify', { ...QUERY, ...target }), blob, signal, sent);
  return { answer, roundTripMs: performance.now() - started };
}
