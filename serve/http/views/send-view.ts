/** Views on their way to the client: one answer, or line after line while it is computed. */
import { once } from 'node:events';
import type { Response } from 'express';
import { requestError } from '../../errors.js';
import type { ModelHost } from '../../hosting/model-host.js';
import { describeActivation } from '../../inference/model/activation.js';
import type { Log } from '../../log.js';
import type { ViewPart } from '../../views/process/messages.js';
import { OWN_ERROR } from '../own/classify.js';

export type SendView = (
  response: Response,
  host: ModelHost,
  parts: AsyncGenerator<ViewPart>,
  log: Log,
) => Promise<void>;

export const sendWhole: SendView = async (response, { model, provider }, parts) => {
  for await (const part of parts) {
    if ('json' in part) {
      const { name, version, activation } = model;
      return void response.json({
        model: { name, version },
        provider,
        activation: describeActivation(activation),
        ...part.json,
      });
    }
    if (part.about) response.set('x-view', asciiJson(part.about));
    return void response.type(part.type).send(part.bytes);
  }
};

/** One JSON value per line. What fails after the first line is the last one. */
export const sendLines: SendView = async (response, _host, parts, log) => {
  const closed = new Promise<void>((resolve) => response.once('close', () => resolve()));
  const line = (value: object) => response.write(`${JSON.stringify(value)}\n`);
  try {
    for await (const part of parts) {
      if (!response.headersSent) response.type('application/x-ndjson');
      const isTaken = 'json' in part && line(part.json);
      if (!isTaken) await Promise.race([once(response, 'drain'), closed]);
    }
  } catch (error) {
    if (!response.headersSent) throw error;
    if (response.destroyed) return;
    const known = requestError(error, response, log);
    line({ type: 'error', ...OWN_ERROR.body(known) });
  }
  response.end();
};

/** For a header. */
function asciiJson(value: object): string {
  return JSON.stringify(value).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
