import type { z } from 'zod';
import { RequestError } from '../errors.js';

/**
 * A parsed JSON body as its schema describes it.
 * @throws {RequestError} BAD_REQUEST that names the first place which differs
 */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw new RequestError('BAD_REQUEST', `${path.join('.') || 'the body'}: ${message}`);
}
