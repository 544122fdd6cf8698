/** Pixels on a canvas of their own size. */
import { useEffect, useRef } from 'preact/hooks';

/**
 * @param draw  called again whenever one of `of` changes
 * @returns the canvas's ref
 */
export function usePixels(draw: () => ImageData, of: readonly unknown[]) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const pixels = draw();
    canvas.current!.width = pixels.width;
    canvas.current!.height = pixels.height;
    canvas.current!.getContext('2d')!.putImageData(pixels, 0, 0);
  }, of);
  return canvas;
}
