/** What a model knows: its labels, from the process that answers HTTP, and so at once. */
import type { RequestHandler } from 'express';
import { z } from 'zod';
import type { AppDeps } from '../own/answer-image.js';
import { parseQuery } from '../parse-query.js';

/** A parameter of a request. */
export const text = (description: string) => ({ description, schema: z.string().max(200).optional() });

/** The parameters of every view that name the model. */
export const MODEL = { model: text('Needed if several models are served'), version: text('Default: the latest') };

export const LabelsAnswer = z
  .object({
    model: z.object({ name: z.string(), version: z.string() }),
    image_px: z.int().min(1).meta({ description: 'Width of what an image becomes before crops are cut from it' }),
    labels: z.array(z.string()).meta({ description: 'By index of the class' }),
  })
  .meta({ id: 'LabelsAnswer' });

export function labels({ models }: AppDeps): RequestHandler {
  return (request, response) => {
    const wanted = parseQuery(MODEL, request.query);
    const { name, version, imagePx, labels: known } = models.find(wanted.model, wanted.version).model;
    response.json({ model: { name, version }, image_px: imagePx, labels: known } satisfies z.infer<
      typeof LabelsAnswer
    >);
  };
}
