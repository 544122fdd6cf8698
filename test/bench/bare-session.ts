/**
 * `node bare-session.js FILE SECONDS [PROVIDER [IMAGES]]` prints images a second of `session.run` alone, on the graph as
 * the server rewrites it, with onnxruntime's own settings of its threads.
 */
import type { Provider } from '../../onnx/backend/provider.js';
import { rowShape } from '../../serve/inference/image/image-tensor.js';
import { readModelFile } from '../../serve/inference/model/model-file.js';
import { openSession, runSession } from '../../serve/inference/session.js';
import { bytesOf } from '../../serve/tensors.js';

const [file, seconds, provider = 'cpu', images = '1'] = process.argv.slice(2);
const modelFile = await readModelFile(file);
const session = await openSession(file, modelFile, provider as Provider, undefined, { spins: true });
const { name, datatype } = modelFile.classifier.input;
const shape = [Number(images), ...rowShape(modelFile.recipe)];
const length = shape.reduce((product, size) => product * size);
const levels = Uint8Array.from({ length }, (_, i) => (i * 7919) % 251);
const bytes = datatype === 'UINT8' ? levels : bytesOf(Float32Array.from(levels, (level) => level / 125 - 1));
const run = () => runSession(session, { name, datatype, shape, bytes }, [modelFile.output]);
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
