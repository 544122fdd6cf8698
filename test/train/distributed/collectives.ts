/** Run by `mpi.test.ts` in every rank of a job: prints what the collective calls gave, as JSON. */
import { joinJob } from '../../../train/distributed/mpi.js';

const job = joinJob();
const values = Float32Array.from({ length: 300_007 }, (_, i) => (i % 11) + job.rank);
await job.allReduceSum(values);
const short = Float32Array.of(job.rank, 1);
await job.allReduceSum(short);
const bytes = Uint8Array.of(job.rank + 5, 2, job.rank);
await job.broadcast(bytes);
const gathered = (await job.allGather(Uint8Array.of(job.rank, 7))).map((part) => [...part]);
// Two bytes for every process: who sends, who gets.
const sent = Uint8Array.from({ length: 2 * job.size }, (_, i) => (i % 2 === 0 ? job.rank : i >> 1));
const exchanged = [...(await job.allToAll(sent))];
console.log(
  JSON.stringify({
    rank: job.rank,
    size: job.size,
    library: job.library,
    values: [values[0], values[10], values[300_006]],
    short: [...short],
    bytes: [...bytes],
    gathered,
    exchanged,
  }),
);
job.finalize();
