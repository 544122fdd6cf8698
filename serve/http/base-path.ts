/** A folder that all routes are put under, as behind a proxy that passes paths on as they are. */
import type { RequestHandler } from 'express';
import { OptionError } from '../../base/errors.js';

/** @returns as a prefix of paths: '' for the root, else without a slash at the end; @throws {UsageError} */
export function parseBasePath(text: string): string {
  const path = text.replace(/\/$/, '');
  if (path === '' || /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)+$/.test(path)) return path;
  throw new OptionError('basePath', `expected a path such as /vision, of letters, digits and "._~-", got "${text}"`);
}

/** The page's own addresses are relative: it has to be asked for as a folder. */
export const redirectToFolder: RequestHandler = (request, response, next) => {
  const [path, query] = request.originalUrl.split('?', 2);
  if (request.path !== '/' || path.endsWith('/') || !/^(?:GET|HEAD)$/.test(request.method)) return next();
  // Relative: a proxy may have taken a prefix off.
  response.redirect(308, `${path.split('/').at(-1)}/${query === undefined ? '' : `?${query}`}`);
};
