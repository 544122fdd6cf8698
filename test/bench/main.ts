/** Benchmarks, side by side with peers: `npm run bench -- NAME`. */
import { parseArgs } from 'node:util';
import { data } from './data.js';
import { distributed } from './distributed.js';
import { forward } from './forward.js';
import { gpu } from './gpu.js';
import { profile } from './profile.js';
import { replicas } from './replicas.js';
import { serve } from './serve.js';
import { train } from './train.js';
import { views } from './views.js';

const USAGE = `usage: npm run bench -- train [--rounds 5] [--minutes 40] [--model alexnet]
       npm run bench -- forward [--rounds 5]
       npm run bench -- data [--rounds 5] [--steps 5]
       npm run bench -- serve [--rounds 5] [--seconds 8]
       npm run bench -- replicas [--rounds 5] [--seconds 15]
       npm run bench -- views [--rounds 5] [--seconds 15]
       npm run bench -- distributed [--rounds 5] [--batch 128]
       npm run bench -- profile [--model alexnet] [--batch 128] [--steps 5]
       npm run bench -- gpu [--limit 280]`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    minutes: { type: 'string', default: '40' },
    model: { type: 'string' },
    batch: { type: 'string', default: '128' },
    seconds: { type: 'string' },
    steps: { type: 'string', default: '5' },
    limit: { type: 'string', default: '280' },
  },
});
if (positionals[0] === 'train') await train(Number(values.rounds), Number(values.minutes), values.model);
else if (positionals[0] === 'forward') forward(Number(values.rounds));
else if (positionals[0] === 'data') await data(Number(values.rounds), Number(values.steps));
else if (positionals[0] === 'serve') await serve(Number(values.rounds), Number(values.seconds ?? 8));
else if (positionals[0] === 'replicas') await replicas(Number(values.rounds), Number(values.seconds ?? 15));
else if (positionals[0] === 'views') await views(Number(values.rounds), Number(values.seconds ?? 15));
else if (positionals[0] === 'distributed') await distributed(Number(values.rounds), Number(values.batch));
else if (positionals[0] === 'profile') profile(values.model ?? 'alexnet', Number(values.batch), Number(values.steps));
else if (positionals[0] === 'gpu') gpu(Number(values.limit));
else {
  console.error(USAGE);
  process.exitCode = 2;
}
