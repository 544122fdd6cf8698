/** Who may load and unload models: the holder of the server's token, where it has one. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Request, Response } from 'express';
import { RequestError } from '../../errors.js';
import type { AppDeps } from './answer-image.js';

/** @throws {RequestError} ADMIN_OFF, UNAUTHORIZED */
export function requireAdmin({ adminToken }: AppDeps, request: Request, response: Response): void {
  if (adminToken === undefined) throw new RequestError('ADMIN_OFF');
  const [, given = ''] = /^Bearer (.+)$/i.exec(request.get('authorization') ?? '') ?? [];
  // Hashes have one length, which comparison in constant time asks for.
  const digest = (text: string) => createHash('sha256').update(text).digest();
  if (timingSafeEqual(digest(given), digest(adminToken))) return;
  response.set('www-authenticate', 'Bearer');
  throw new RequestError('UNAUTHORIZED');
}
