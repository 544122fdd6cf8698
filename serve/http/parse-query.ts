/** Parameters of a query by the schemas that the document describes them with. */
import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { RequestError } from '../errors.js';

/** Query parameters by name. */
export type QueryDoc = Record<string, { description: string; schema: z.ZodType }>;
export type Parsed<T extends QueryDoc> = { [K in keyof T]: z.infer<T[K]['schema']> };

/** @throws {RequestError} BAD_REQUEST that names the parameter, what was expected and what came */
export function parseQuery<T extends QueryDoc>(described: T, query: Record<string, unknown>): Parsed<T> {
  const parsed = Object.entries(described).map(([name, { schema }]) => {
    const text = query[name];
    const asText = schema.safeParse(text);
    if (asText.success) return [name, asText.data];
    const result = schema.safeParse(readAs(text));
    if (result.success) return [name, result.data];
    const [{ message }] = result.error.issues;
    throw new RequestError(
      'BAD_REQUEST',
      `${name}: ${message}, got ${JSON.stringify(text)?.slice(0, 100) ?? 'nothing'}`,
    );
  });
  return Object.fromEntries(parsed) as Parsed<T>;
}

/** The number, true or false that a text stands for; else as it is. */
function readAs(text: unknown): unknown {
  return typeof text === 'string' && /^(?:\d{1,9}|true|false)$/.test(text) ? JSON.parse(text) : text;
}

/** Refuses a query with keys that `described` lacks, before anything is read of the request. */
export function refuseUnknownKeys(described: QueryDoc): RequestHandler {
  return (request, _response, next) => {
    const unknown = Object.keys(request.query).find((key) => !Object.hasOwn(described, key));
    if (unknown !== undefined) throw unknownKey(described, unknown);
    next();
  };
}

export function unknownKey(described: QueryDoc, unknown: string): RequestError {
  const known = Object.keys(described).join(', ');
  return new RequestError(
    'BAD_REQUEST',
    `unknown query parameter ${JSON.stringify(unknown.slice(0, 100))}; this route takes ${known}`,
  );
}
