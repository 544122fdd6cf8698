/** Benchmarks, side by side with peers: `npm run bench -- NAME`. */
import { parseArgs } from 'node:util';

const USAGE = `usage: npm run bench -- train [--rounds 5] [--minutes 40] [--model alexnet]
       npm run bench -- forward [--rounds 5]
       npm run bench -- data [--rounds 5] [--steps 5]
       npm run bench -- serve [--rounds 5] [--seconds 8]
       npm run bench -- classifiers [--rounds 5] [--seconds 8]
       npm run bench -- replicas [--rounds 5] [--seconds 15]
       npm run bench -- views [--rounds 5] [--seconds 15]
       npm run bench -- distributed [--rounds 5] [--batch 128]
       npm run bench -- learn [--rounds 5]
       npm run bench -- profile [--model alexnet] [--batch 128] [--steps 5]
       npm run bench -- programs [--steps 5]
       npm run bench -- gpu [--limit 280]`;

function parsed() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '5' },
        minutes: { type: 'string', default: '40' },
        model: { type: 'string' },
        batch: { type: 'string', default: '128' },
        seconds: { type: 'string' },
        steps: { type: 'string', default: '5' },
        limit: { type: 'string', default: '280' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n${USAGE}`);
    process.exit(2);
  }
}

const { positionals, values } = parsed();
const rounds = Number(values.rounds);
const seconds = (usual: number) => Number(values.seconds ?? usual);

// Each loads what it needs: the packages of the tests are not everywhere.
const BENCHES: Record<string, () => Promise<unknown>> = {
  train: async () => (await import('./train.js')).train(rounds, Number(values.minutes), values.model),
  forward: async () => (await import('./forward.js')).forward(rounds),
  data: async () => (await import('./data.js')).data(rounds, Number(values.steps)),
  serve: async () => (await import('./serve.js')).serve(rounds, seconds(8)),
  classifiers: async () => (await import('./classifiers.js')).classifiers(rounds, seconds(8)),
  replicas: async () => (await import('./replicas.js')).replicas(rounds, seconds(15)),
  views: async () => (await import('./views.js')).views(rounds, seconds(15)),
  distributed: async () => (await import('./distributed.js')).distributed(rounds, Number(values.batch)),
  learn: async () => (await import('./learn.js')).learn(rounds),
  profile: async () =>
    (await import('./profile.js')).profile(values.model ?? 'alexnet', Number(values.batch), Number(values.steps)),
  programs: async () => (await import('./programs.js')).programs(Number(values.steps)),
  gpu: async () => (await import('./gpu.js')).gpu(Number(values.limit)),
};

const bench = positionals.length === 1 && Object.hasOwn(BENCHES, positionals[0]) && BENCHES[positionals[0]];
if (values.help) console.log(USAGE);
else if (bench) await bench();
else {
  console.error(USAGE);
  process.exitCode = 2;
}
