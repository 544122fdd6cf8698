/** Shapes that several protocols share, or that our own routes answer with. */
import { z } from 'zod';

export const Probability = z.number().min(0).max(1);

export const PredictionSchema = z
  .object({
    index: z.int().min(0).meta({ description: 'Number of the class' }),
    label: z.string(),
    synset: z.string().optional().meta({ description: 'ImageNet id, where known', example: 'n02123045' }),
    probability: Probability,
  })
  .meta({ id: 'Prediction' });

const Milliseconds = z.number().min(0);

export const ClassifyAnswer = z
  .object({
    predictions: z.array(PredictionSchema).meta({ description: 'Most probable first' }),
    model: z.object({ name: z.string(), version: z.string() }),
    crops: z.int().meta({ description: 'Crops of the picture whose probabilities were averaged' }),
    timings_ms: z.object({
      queue: Milliseconds,
      decode: Milliseconds,
      inference: Milliseconds,
      total: Milliseconds,
    }),
  })
  .meta({ id: 'ClassifyAnswer' });

export const OwnError = z
  .object({
    error: z.object({
      code: z.string().meta({ example: 'IMAGE_TOO_LARGE' }),
      message: z.string(),
    }),
  })
  .meta({ id: 'Error' });

export const Top = z.int().min(1).meta({ description: 'How many classes; at most the number the model has' });
