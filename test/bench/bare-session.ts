/**
 * `node bare-session.js FILE SECONDS [PROVIDER [IMAGES]]` prints images a second of `session.run` alone, on the graph as
 * the server rewrites it.
 */
import type { Provider } from '../../onnx/backend/provider.js';
import { readModelFile } from '../../serve/inference/model/model-file.js';
import { openSession, runSession } from '../../serve/inference/session.js';

const [file, seconds, provider = 'cpu', images = '1'] = process.argv.slice(2);
const modelFile = await readModelFile(file);
const session = await openSession(file, modelFile, provider as Provider);
const { width: imagePx } = modelFile.recipe.decoding;
const shape = [Number(images), imagePx, imagePx, 3];
const bytes = Uint8Array.from({ length: Number(images) * imagePx * imagePx * 3 }, (_, i) => (i * 7919) % 251);
const run = () => runSession(session, { name: 'image', datatype: 'UINT8', shape, bytes }, ['probabilities']);
const begun = performance.now();
for (let i = 0; i < 3 && performance.now() - begun < Number(seconds) * 1000; i++) await run();
const started = performance.now();
let count = 0;
while (performance.now() - started < Number(seconds) * 1000) {
  await run();
  count += Number(images);
}
const rate = count / ((performance.now() - started) / 1000);
await session.release(); // writes its trace, if it was asked for one
console.log(rate);
