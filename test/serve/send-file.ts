/**
 * Posts a file as JSON from a process of its own, so that sending takes no time of who measures. Arguments: URL and
 * file; prints the status.
 */
import { readFile } from 'node:fs/promises';

const [url, file] = process.argv.slice(2);
const body = await readFile(file);
const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
await response.arrayBuffer();
console.log(response.status);
