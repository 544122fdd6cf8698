/** The graph of a file, drawn top to bottom, and its operations as a table. */
import { useMemo } from 'preact/hooks';
import { count, shape } from '../parts/numbers.js';
import { Scroll } from '../parts/scroll.js';
import type { Graph } from '../server/answers.js';
import { type Box, type Group, placeGraph } from './graph-layout.js';
import { Pannable } from './pannable.js';

/** Beyond, a drawing helps nobody and takes seconds to lay out. */
const MOST_NODES = 600;

export function GraphImage({ graph }: { graph: Graph }) {
  const drawn = graph.nodes.length <= MOST_NODES;
  return (
    <>
      {drawn ? (
        <Drawing graph={graph} />
      ) : (
        <p class="status">{count(graph.nodes.length)} operations are too many for a drawing; the table has them all.</p>
      )}
      <details>
        <summary>The same as a table</summary>
        <Nodes graph={graph} />
      </details>
    </>
  );
}

function Drawing({ graph }: { graph: Graph }) {
  const { boxes, groups, arrows, width, height } = useMemo(() => placeGraph(graph), [graph]);
  return (
    <Pannable label="Graph" width={width} height={height}>
      {(zoom) => (
        <svg
          class="graph"
          viewBox={`0 0 ${width} ${height}`}
          width={width * zoom}
          height={height * zoom}
          role="img"
          aria-label={`Graph of ${graph.nodes.length} operations; a table of them follows`}
        >
          <defs>
            <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M0 0 8 4 0 8z" />
            </marker>
          </defs>
          {groups.map((group) => (
            <GroupShape key={group.name} {...group} />
          ))}
          {arrows.map(({ points }, i) => (
            <polyline key={i} points={points.map(({ x, y }) => `${x},${y}`).join(' ')} marker-end="url(#head)" />
          ))}
          {arrows.map(
            ({ label, x, y }, i) =>
              label && (
                <text key={i} class="lengths" x={x} y={y + 4}>
                  {label}
                </text>
              ),
          )}
          {boxes.map((box, i) => (
            <BoxShape key={i} {...box} />
          ))}
        </svg>
      )}
    </Pannable>
  );
}

function GroupShape({ name, x, y, width, height }: Group) {
  return (
    <g class="group">
      <rect x={x} y={y} width={width} height={height} rx={6} />
      <text x={x - 6} y={y + 14}>
        {name}
      </text>
    </g>
  );
}

function BoxShape({ kind, lines, x, y, width, height }: Box) {
  const first = y - height / 2 + 16;
  return (
    <g class={`box ${kind}`}>
      <rect x={x - width / 2} y={y - height / 2} width={width} height={height} rx={kind === 'end' ? height / 2 : 3} />
      {lines.map((line, i) => (
        <text key={i} x={x} y={first + 16 * i} class={i === 0 ? 'op' : ''}>
          {line}
        </text>
      ))}
    </g>
  );
}

function Nodes({ graph }: { graph: Graph }) {
  return (
    <Scroll label="Operations">
      <table>
        <thead>
          <tr>
            <th>Operation</th>
            <th>Inputs</th>
            <th>Output</th>
            <th>Its shape</th>
            <th>Attributes</th>
          </tr>
        </thead>
        <tbody>
          {graph.nodes.map((node, i) => (
            <tr key={i}>
              <th scope="row">{node.domain ? `${node.domain}.${node.op}` : node.op}</th>
              <td>{node.inputs.filter((name) => name !== '').join(', ')}</td>
              <td>{node.outputs.join(', ')}</td>
              <td class="nowrap">{node.shape && shape(node.shape)}</td>
              <td>
                {Object.entries(node.attributes)
                  .map(([name, value]) => `${name} ${JSON.stringify(value)}`)
                  .join(', ')}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
