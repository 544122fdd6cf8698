/** Parameters of a query by the schemas that the document describes them with. */
import type { z } from 'zod';
import { RequestError } from '../errors.js';
import type { RouteDoc } from './protocol.js';

export type QueryDoc = NonNullable<RouteDoc['query']>;
export type Parsed<T extends QueryDoc> = { [K in keyof T]: z.infer<T[K]['schema']> };

/** @throws {RequestError} BAD_REQUEST that names the parameter, what was expected and what came */
export function parseQuery<T extends QueryDoc>(described: T, query: Record<string, unknown>): Parsed<T> {
  const parsed = Object.entries(described).map(([name, { schema }]) => {
    const text = query[name];
    const asText = schema.safeParse(text);
    if (asText.success) return [name, asText.data];
    const number = typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
    const result = schema.safeParse(number ?? text);
    if (result.success) return [name, result.data];
    const [{ message }] = result.error.issues;
    throw new RequestError(
      'BAD_REQUEST',
      `${name}: ${message}, got ${JSON.stringify(text)?.slice(0, 100) ?? 'nothing'}`,
    );
  });
  return Object.fromEntries(parsed) as Parsed<T>;
}
