/**
 * The page for people at `/`, from the files that the build made. Assets have their hash in their names and stay in
 * caches; the page is requested every time.
 */
import { fileURLToPath } from 'node:url';
import express, { Router } from 'express';
import helmet from 'helmet';
import { redirectToFolder } from './base-path.js';

const FOLDER = fileURLToPath(new URL('../page', import.meta.url));

/** Nothing from elsewhere, nothing inline; images also from memory, as people choose them. */
const POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'font-src': ["'self'"],
  'img-src': ["'self'", 'blob:', 'data:'],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'self'"],
  'require-trusted-types-for': ["'script'"],
};

export const PAGE_ROUTE = { method: 'get', path: '/' } as const;

export function page(): Router {
  const router = Router();
  const secure = helmet({
    contentSecurityPolicy: { useDefaults: false, directives: POLICY },
    strictTransportSecurity: false, // the server speaks plain HTTP; a proxy with TLS sets its own
  });
  const files = express.static(FOLDER, {
    redirect: false,
    setHeaders: (response, path) =>
      response.set('cache-control', path.endsWith('.html') ? 'no-cache' : 'public, max-age=31536000, immutable'),
  });
  router.get(PAGE_ROUTE.path, redirectToFolder);
  for (const path of [PAGE_ROUTE.path, '/assets/:file']) router.get(path, secure, files);
  // Browsers ask for the .ico where a document names no icon.
  router.get(['/favicon.svg', '/favicon.ico'], secure, (_request, response) =>
    response.sendFile('favicon.svg', { root: FOLDER, headers: { 'cache-control': 'no-cache' } }),
  );
  return router;
}
