/**
 * Computes views as the server's own process does, at the priority of the tests: at the lowest, it would get next to no
 * processor time beside other test files.
 */
import { beginWithOptions } from '../../serve/forked-process.js';
import type { ViewOptions } from '../../serve/views/process/messages.js';
import { Viewer } from '../../serve/views/process/viewer.js';
import { runViewsLoop } from '../../serve/views/process/views-loop.js';

beginWithOptions<ViewOptions>((options) => runViewsLoop(() => Viewer.open(options)));
