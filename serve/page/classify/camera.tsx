/**
 * The camera of a computer in a dialog. Browsers give it to pages over HTTPS or on this machine; phones have their own
 * way, as a file.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure } from '../parts/answer.js';

const QUALITY = 0.92;

export function hasCamera(): boolean {
  const isPhone = matchMedia('(pointer: coarse)').matches;
  return !isPhone && navigator.mediaDevices?.getUserMedia !== undefined;
}

function whyNot(cause: unknown): string {
  return cause instanceof DOMException && cause.name === 'NotFoundError'
    ? 'this computer has no camera; choose a file'
    : 'the camera cannot be used; allow it in the browser, or choose a file';
}

interface CameraProps {
  take(blob: Blob, name: string): void;
  close(): void;
}

export function Camera({ take, close }: CameraProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [error, setError] = useState<unknown>();
  const [live, setLive] = useState(false);
  useEffect(() => {
    dialog.current!.showModal();
    const stream = navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    stream.then(
      (given) => {
        if (video.current) video.current.srcObject = given;
      },
      (cause) => setError(new Error(whyNot(cause), { cause })),
    );
    const stop = (given: MediaStream) => {
      for (const track of given.getTracks()) track.stop();
    };
    return () => void stream.then(stop, () => undefined);
  }, []);
  const shoot = async () => {
    const { videoWidth: width, videoHeight: height } = video.current!;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext('2d')!.drawImage(video.current!, 0, 0);
    take(await canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY }), 'photograph.jpg');
    close();
  };
  return (
    <dialog ref={dialog} class="camera" aria-label="Camera" onClose={close}>
      <video ref={video} autoPlay muted playsInline hidden={error !== undefined} onPlaying={() => setLive(true)} />
      {!live && error === undefined && <p class="aside">Waiting for the camera…</p>}
      {error !== undefined && <Failure error={error} />}
      <p>
        {error === undefined && (
          <button type="button" class="main" disabled={!live} onClick={shoot}>
            Take the photograph
          </button>
        )}{' '}
        <button type="button" onClick={close}>
          Cancel
        </button>
      </p>
    </dialog>
  );
}
