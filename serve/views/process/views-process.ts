/**
 * The forked process that computes what people look at. At the lowest priority: if a core is wanted by classification,
 * it waits. It is no part of the inference process, so that a view never stands between two images there.
 */
import '../../../base/few-open-files.js';
import { constants, setPriority } from 'node:os';
import { beginWithOptions } from '../../forked-process.js';
import type { ViewOptions } from './messages.js';
import { runViewsLoop } from './views-loop.js';

setPriority(constants.priority.PRIORITY_LOW); // before onnxruntime starts its threads, which inherit it

beginWithOptions<ViewOptions>((options) =>
  runViewsLoop(async () => (await import('./viewer.js')).Viewer.open(options)),
);
