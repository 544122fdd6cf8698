/** Images pasted or dropped, on the whole document: nobody need aim. */
import { useEffect, useRef, useState } from 'preact/hooks';

/** @returns whether a file is held over the page */
export function usePasteAndDrop(take: (blob: Blob, name: string) => void, fail: (error: unknown) => void): boolean {
  const [hovering, hover] = useState(false);
  const latest = useRef({ take, fail });
  latest.current = { take, fail };
  useEffect(() => {
    const from = (data: DataTransfer | null, what: string) => {
      const image = [...(data?.files ?? [])].find(({ type }) => type.startsWith('image/')) ?? data?.files[0];
      if (image) latest.current.take(image, image.name || 'image.png');
      else {
        const advice = 'save the image first, or copy the image itself';
        latest.current.fail(new Error(`what was ${what} holds no file; ${advice}`));
      }
    };
    const end = new AbortController();
    const on = <T extends Event>(type: string, listener: (event: T) => void) =>
      document.addEventListener(type, listener as EventListener, { signal: end.signal });
    on<ClipboardEvent>('paste', (event) => from(event.clipboardData, 'pasted'));
    on<DragEvent>('drop', (event) => {
      event.preventDefault();
      hover(false);
      from(event.dataTransfer, 'dropped');
    });
    on<DragEvent>('dragover', (event) => {
      event.preventDefault(); // else the browser opens the file in place of this page
      hover(event.dataTransfer?.types.includes('Files') ?? false);
    });
    on<DragEvent>('dragleave', (event) => {
      if (event.relatedTarget === null) hover(false);
    });
    return () => end.abort();
  }, []);
  return hovering;
}
