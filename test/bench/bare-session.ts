/**
 * `node bare-session.js FILE SECONDS` prints images a second of `session.run` alone, on the graph as the server
 * rewrites it.
 */
import { readModelFile } from '../../serve/inference/model/model-file.js';
import { openSession, runSession } from '../../serve/inference/session.js';

const [file, seconds] = process.argv.slice(2);
const modelFile = await readModelFile(file);
const session = await openSession(file, modelFile, 'cpu');
const { width: imagePx } = modelFile.recipe.decoding;
const shape = [1, imagePx, imagePx, 3];
const bytes = Uint8Array.from({ length: imagePx * imagePx * 3 }, (_, i) => (i * 7919) % 251);
const run = () => runSession(session, { name: 'image', datatype: 'UINT8', shape, bytes }, ['probabilities']);
for (let i = 0; i < 3; i++) await run();
const started = performance.now();
let count = 0;
while (performance.now() - started < Number(seconds) * 1000) {
  await run();
  count += 1;
}
console.log(count / ((performance.now() - started) / 1000));
