/** Shapes that several protocols share, or that our own routes answer with. */
import { z } from 'zod';

export const Probability = z.number().min(0).max(1);

export const PredictionSchema = z
  .object({
    index: z.int().min(0).meta({ description: 'Number of the class' }),
    label: z.string(),
    synset: z.string().optional().meta({ description: 'ImageNet id, if known', example: 'n02123045' }),
    probability: Probability,
  })
  .meta({ id: 'Prediction' });

const Milliseconds = z.number().min(0);
const Timings = z.object({ queue: Milliseconds, decode: Milliseconds, inference: Milliseconds, total: Milliseconds });
const ModelName = z.object({ name: z.string(), version: z.string() });

export const CropSchema = z
  .object({
    name: z.string().meta({ example: 'top left' }),
    top: z.int().min(0),
    left: z.int().min(0),
    size: z.int().min(1).meta({ description: 'Side, pixels of the image cut to a square of image_px' }),
    height: z.int().min(1).optional().meta({ description: 'Of a crop that is not square; size is its width' }),
    mirror: z.boolean().meta({ description: 'Read from right to left after cutting' }),
  })
  .meta({ id: 'Crop' });

export const ClassifyAnswer = z
  .object({
    predictions: z.array(PredictionSchema).meta({ description: 'Most probable first' }),
    model: ModelName,
    crops: z.int().meta({ description: 'Crops of the image whose probabilities were averaged' }),
    multi_label: z.boolean().meta({ description: 'Each label has a probability of its own: they need not sum to 1' }),
    timings_ms: Timings,
    image_px: z.int().optional().meta({ description: 'With by_crop: side of the square that the image is cut to' }),
    image_height: z.int().optional().meta({ description: 'With by_crop: if it is not square' }),
    image_fit: z
      .enum(['cut', 'stretch'])
      .optional()
      .meta({ description: 'With by_crop: how the image gets that shape' }),
    by_crop: z
      .array(CropSchema.extend({ predictions: z.array(PredictionSchema) }).meta({ id: 'CropAnswer' }))
      .optional()
      .meta({ description: 'With by_crop: what each crop alone gives' }),
  })
  .meta({ id: 'ClassifyAnswer' });

const CodeAndMessage = z.object({ code: z.string().meta({ example: 'IMAGE_TOO_LARGE' }), message: z.string() });
export const OwnError = z.object({ error: CodeAndMessage }).meta({ id: 'Error' });

const Image = z.string().optional().meta({ description: 'Name of the file, if the form gives one' });
export const BatchAnswer = z
  .object({
    model: ModelName,
    crops: z.int(),
    multi_label: z.boolean(),
    results: z
      .array(
        z.union([
          z.object({ image: Image, predictions: z.array(PredictionSchema), timings_ms: Timings }),
          z.object({ image: Image, error: CodeAndMessage }),
        ]),
      )
      .meta({ description: 'In the order of the images' }),
  })
  .meta({ id: 'BatchAnswer' });

export const Top = z.int().min(1).meta({ description: 'How many classes; at most the number the model has' });
