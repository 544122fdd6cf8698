/** How the server does: throughput, latency and queue while the page is looked at, and the counters behind them. */
import { View } from '../parts/chapter.js';
import { bytes, count, milliseconds, percent, significant } from '../parts/numbers.js';
import type { ModelStats, Stats } from '../server/answers.js';
import type { Target } from '../server/request.js';
import type { Server } from '../server/use-server.js';
import { Chart } from './chart.js';
import { modelOf, type Rates, ratesOf } from './rates.js';

export function ServerCharts({ server, target }: { server: Server; target: Target }) {
  const latest = server.samples.at(-1);
  const model = latest && modelOf(latest, target);
  if (!latest || !model) return null;
  const rates = ratesOf(server.samples, target);
  return (
    <View
      title="The server"
      note={
        <>
          <p>
            Asked for every second or two, from the server’s own counters: they count everybody’s images, not only
            yours. The mean latency is that of the images answered in between.
          </p>
          <p>
            The process that answers HTTP never computes; images wait in line for one that does. The same numbers are at{' '}
            <a href="metrics">/metrics</a>, for Prometheus.
          </p>
        </>
      }
    >
      {rates.some(({ total, pending }) => total !== null || pending > 0) ? (
        <Charts rates={rates} />
      ) : (
        <p class="status">No requests yet: charts appear with the next image.</p>
      )}
      <Counters stats={latest} model={model} />
      <Distribution latency={latest.latency} />
    </View>
  );
}

function Charts({ rates }: { rates: Rates[] }) {
  const times = rates.map(({ time }) => time);
  return (
    <>
      <Chart
        title="Throughput, images per second"
        times={times}
        lines={{ images: rates.map((one) => one.throughput) }}
      />
      <Chart
        title="Mean latency, milliseconds"
        times={times}
        lines={{
          total: rates.map(({ total }) => total),
          inference: rates.map(({ inference }) => inference),
          decoding: rates.map(({ decode }) => decode),
          waiting: rates.map(({ queue }) => queue),
        }}
      />
      <Chart title="Images in line or at work" times={times} lines={{ images: rates.map(({ pending }) => pending) }} />
    </>
  );
}

function Counters({ stats, model }: { stats: Stats; model: ModelStats }) {
  const mean = (us: number) => (model.answered > 0 ? milliseconds(us / model.answered / 1000) : '–');
  const rows: [string, string][] = [
    ['runs on', model.provider],
    ['up for', `${count(Math.round(stats.uptime_s))} s`],
    ['memory of the HTTP process', bytes(stats.memory_bytes)],
    ['images answered, failed', `${count(model.answered)}, ${count(model.failed)}`],
    ['images per run of the model', model.runs > 0 ? significant(model.answered / model.runs) : '–'],
    ['answered from the cache', `${count(model.cache_hits)} of ${count(model.cache_hits + model.cache_misses)}`],
    ['mean latency', mean(model.total_us)],
    [
      'of which waiting, decoding, inference',
      [model.queue_us, model.decode_us, model.inference_us].map(mean).join(', '),
    ],
    ['in line or at work', count(model.pending)],
    ['index of images', model.index ? 'yes' : 'none'],
  ];
  return (
    <table class="facts">
      <caption>Since the server began</caption>
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="right">{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Shares of answers within a time, as the server's buckets have them. */
function Distribution({ latency: { route, count: total, buckets } }: { latency: Stats['latency'] }) {
  if (total === 0) return null;
  const told = buckets.filter(({ le, count: within }) => le !== null && within > 0);
  const all = told.findIndex(({ count: within }) => within === total);
  return (
    <table class="facts">
      <caption>{route}: share answered within</caption>
      <tbody>
        {told.slice(0, all < 0 ? undefined : all + 1).map(({ le, count: within }) => (
          <tr key={le}>
            <th scope="row">{milliseconds(1000 * le!)}</th>
            <td class="right">{percent(within / total)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
