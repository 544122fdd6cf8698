/** The server's routes and page, to be mounted in an application of one's own. */
import type { Express } from 'express';
import { DEFAULTS } from './defaults.js';
import { RequestError } from './errors.js';
import { type AppOptions, createApp } from './http/app.js';
import { parseBasePath } from './http/base-path.js';
import { parseOrigin } from './http/cors.js';
import { Serving, type ServingOptions } from './serving.js';

export interface RouterOptions extends Partial<ServingOptions> {
  /** Path of one `.onnx` file; or give `files`, or a repository as `folder`. */
  file?: string;
  /** In front of every path where it is used as a handler by itself, such as `/vision`; default: none. */
  basePath?: string;
  /** Origins whose pages may read the answers, `*` for all; default: what the application says. */
  corsOrigin?: readonly string[];
}

/** To be given to `app.use`, or to `http.createServer` as it is. */
export type ClassifierRouter = Express & {
  /** Once the models answer. @throws {UserError} as promise: what cannot be loaded; requests are answered with 503 */
  readonly ready: Promise<void>;
  /** Answers what was asked, then ends the processes; a program does not end by itself before. */
  close(): Promise<void>;
};

/**
 * Loads the models at once; requests meanwhile get 503. Under the path that it is mounted at, everything of the server
 * answers; what it does not know falls through to the application. Mount it before parsers of bodies.
 * @throws {UserError} if an option cannot be used, or no model is named; what is wrong with a model, `ready` tells
 */
export function classifierRouter({
  file,
  basePath = '',
  corsOrigin = [],
  ...options
}: RouterOptions): ClassifierRouter {
  const log = options.log ?? ((line, level) => level !== undefined && level !== 'info' && console.error(line));
  const files = [...(options.files ?? []), ...(file === undefined ? [] : [file])];
  const serving = new Serving({ ...DEFAULTS, ...options, files, log });
  let failed = false;
  const own: Pick<AppOptions, 'corsOrigins' | 'fallThrough' | 'refuse'> = {
    corsOrigins: corsOrigin.map(parseOrigin),
    fallThrough: true,
    refuse: () => {
      if (failed) throw new RequestError('MODEL_UNAVAILABLE', 'no model could be loaded; the log says why');
    },
  };
  const app = createApp({ ...serving.deps, ...own, basePath: parseBasePath(basePath) });
  const ready = serving.start();
  ready.catch((error: Error) => {
    failed = true;
    log(error.message, 'error');
  });
  return Object.assign(app, { ready, close: () => serving.drain() });
}
