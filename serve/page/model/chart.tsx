/** Lines over time. The numbers are in the table below the charts. */
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

interface ChartProps {
  title: string;
  /** Seconds since 1970. */
  times: number[];
  /** By name, as long as `times`; null if there is no value. */
  lines: Record<string, (number | null)[]>;
}

const HEIGHT_PX = 150;
/** Custom properties of the page's style, in the order of the lines. */
const COLOURS = ['--accent', '--mark', '--line-3', '--line-4'];

export function Chart({ title, times, lines }: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const data = [times, ...Object.values(lines)] as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(holder.current!, Object.keys(lines)), latest.current, holder.current!);
    };
    const observer = new ResizeObserver(([{ contentRect }]) =>
      plot.current?.setSize({ width: contentRect.width, height: HEIGHT_PX }),
    );
    draw();
    dark.addEventListener('change', draw);
    observer.observe(holder.current!);
    return () => {
      dark.removeEventListener('change', draw);
      observer.disconnect();
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(data), [times.at(-1)]);
  return (
    <figure class="chart">
      <figcaption>
        {title}
        {Object.keys(lines).length > 1 &&
          Object.keys(lines).map((name, i) => (
            <span key={name} class="series" style={{ '--line': `var(${COLOURS[i]})` }}>
              {name}
            </span>
          ))}
      </figcaption>
      <div ref={holder} role="img" aria-label={`${title}, over the last minutes; numbers in the table below`} />
    </figure>
  );
}

function clock(seconds: number): string {
  return new Date(1000 * seconds).toLocaleTimeString('en-GB');
}

function optionsOf(holder: HTMLElement, names: readonly string[]): uPlot.Options {
  const style = getComputedStyle(holder);
  const colour = (name: string) => style.getPropertyValue(name);
  const axis = {
    stroke: colour('--soft'),
    grid: { stroke: colour('--rule'), width: 1 },
    ticks: { show: false },
    font: `12px ${colour('--sans')}`,
  };
  return {
    width: holder.clientWidth,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, 1)] } },
    axes: [
      { ...axis, space: 90, values: (_plot, seconds) => seconds.map(clock) },
      { ...axis, size: 46 },
    ],
    series: [
      {},
      ...names.map((_, i) => ({
        stroke: colour(COLOURS[i]),
        width: 1.5,
        spanGaps: true,
        points: { show: true, size: 4 },
      })),
    ],
  };
}
