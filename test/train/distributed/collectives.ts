/** Run by `mpi.test.ts` in every rank of a job: prints what the collective calls gave, as JSON. */
import { joinJob } from '../../../train/distributed/mpi.js';

const job = joinJob();
const values = Float32Array.from({ length: 300_007 }, (_, i) => (i % 11) + job.rank);
await job.allReduceSum(values);
const short = Float32Array.of(job.rank, 1);
await job.allReduceSum(short);
const bytes = Uint8Array.of(job.rank + 5, 2, job.rank);
job.broadcast(bytes);
const gathered = job.allGather(Uint8Array.of(job.rank, 7)).map((part) => [...part]);
job.barrier();
console.log(
  JSON.stringify({
    rank: job.rank,
    size: job.size,
    library: job.library,
    values: [values[0], values[10], values[300_006]],
    short: [...short],
    bytes: [...bytes],
    gathered,
  }),
);
job.finalize();
