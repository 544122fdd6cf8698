/** `alexnet serve` with an inference process that obeys `order`. Arguments: the "file" and the port. */
import { serveUntilSignal } from '../../serve/serve-until-signal.js';
import { createServer } from '../../serve/server.js';
import { OBEDIENT } from './running.js';

const [file, port] = process.argv.slice(2);
const log = (line: string) => console.error(line);
const options = { files: [file], port: Number(port), inferenceModule: OBEDIENT, replicas: 1, log };
await serveUntilSignal(createServer(options), log);
