/** A drawing larger than its place: dragged to pan, with the wheel and a modifier key or buttons to zoom. */
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

const STEP = 1.3;
const [LEAST, MOST] = [0.1, 4];

interface PannableProps {
  label: string;
  /** Of the drawing, unzoomed. */
  width: number;
  height: number;
  children: (zoom: number) => ComponentChildren;
}

export function Pannable({ label, width, height, children }: PannableProps) {
  const frame = useRef<HTMLElement>(null);
  const { zoom, setZoom, scale } = useZoom(frame);
  const fit = () => {
    const { clientWidth, clientHeight } = frame.current!;
    setZoom(Math.min(clientWidth / width, clientHeight / height, 1));
  };
  const drag = (event: PointerEvent) => {
    if (event.buttons === 1 && event.pointerType === 'mouse') {
      frame.current!.scrollBy({ left: -event.movementX, top: -event.movementY, behavior: 'instant' });
    }
  };
  return (
    <>
      <p class="zoom">
        <button type="button" aria-label="Zoom in" onClick={() => scale(STEP)}>
          +
        </button>
        <button type="button" aria-label="Zoom out" onClick={() => scale(1 / STEP)}>
          −
        </button>
        <button type="button" onClick={fit}>
          Whole graph
        </button>
        <button type="button" onClick={() => setZoom(1)}>
          100 %
        </button>
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys scroll it */}
      <section ref={frame} class="scroll pannable" aria-label={label} tabIndex={0} onPointerMove={drag}>
        {children(zoom)}
      </section>
    </>
  );
}

/** What a frame is scaled by; the point that it is scaled at stays where it is. */
function useZoom(frame: RefObject<HTMLElement | null>) {
  const [zoom, setZoom] = useState(1);
  /** The point of the frame that stays, and the zoom so far. */
  const held = useRef({ x: 0, y: 0, zoom });
  const scale = (factor: number, at?: { x: number; y: number }) => {
    const { clientWidth, clientHeight } = frame.current!;
    Object.assign(held.current, at ?? { x: clientWidth / 2, y: clientHeight / 2 });
    setZoom((before) => Math.min(Math.max(before * factor, LEAST), MOST));
  };
  useLayoutEffect(() => {
    const { x, y, zoom: before } = held.current;
    held.current.zoom = zoom;
    const { scrollLeft, scrollTop } = frame.current!;
    const along = (start: number, at: number) => ((start + at) * zoom) / before - at;
    frame.current!.scrollTo({ left: along(scrollLeft, x), top: along(scrollTop, y), behavior: 'instant' });
  }, [zoom]);
  useEffect(() => {
    const element = frame.current!;
    element.scrollLeft = (element.scrollWidth - element.clientWidth) / 2; // where the graph begins
    // Preact listens passively, which cannot keep the browser from zooming the page.
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const { left, top } = element.getBoundingClientRect();
      scale(event.deltaY < 0 ? STEP : 1 / STEP, { x: event.clientX - left, y: event.clientY - top });
    };
    element.addEventListener('wheel', wheel, { passive: false });
    return () => element.removeEventListener('wheel', wheel);
  }, []);
  return { zoom, setZoom, scale };
}
