/**
 * Runs in place of the process for views, with the real loop around a viewer that counts its steps: `occlusion` has
 * `patch` parts, each of which blocks for `stride` milliseconds; `graph` tells the steps done so far and the process;
 * `metadata` ends the process; `layers` fails.
 */

import { beginWithOptions } from '../../serve/forked-process.js';
import type { ViewPart, ViewRequest } from '../../serve/views/process/messages.js';
import { runViewsLoop } from '../../serve/views/process/views-loop.js';

let steps = 0;

async function* view(request: ViewRequest): AsyncGenerator<ViewPart> {
  if (request.view === 'graph') yield { json: { steps, pid: process.pid } };
  if (request.view === 'metadata') process.kill(process.pid, 'SIGKILL');
  if (request.view === 'layers') throw new Error('secret of the house');
  if (request.view !== 'occlusion') return;
  for (let i = 0; i < request.patch!; i++) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, request.stride);
    steps += 1;
    yield { json: { type: 'progress', done: i + 1 } };
  }
}

beginWithOptions(() => runViewsLoop(async () => ({ view })));
