/** The shapes that the server answers with: those of its own schemas. */
import type { z } from 'zod';
import type * as Own from '../../http/schemas.js';
import type * as Known from '../../http/views/labels.js';
import type * as Schemas from '../../http/views/schemas.js';

export type Prediction = z.infer<typeof Own.PredictionSchema>;
/** A window of the square image that the network looks at. */
export type Crop = z.infer<typeof Own.CropSchema>;
/** With the crops, as this page asks for them. */
export type Classified = Required<Omit<z.infer<typeof Own.ClassifyAnswer>, 'image_height'>> & {
  image_height?: number;
};

export type Labels = z.infer<typeof Known.LabelsAnswer>;
export type Layers = z.infer<typeof Schemas.Layers>;
export type Layer = Layers['layers'][number];
export type Normalised = z.infer<typeof Schemas.LrnAnswer>;
export type Strongest = z.infer<typeof Schemas.Strongest>;
export type OcclusionLine = z.infer<typeof Schemas.OcclusionLine>;
export type OcclusionStart = Extract<OcclusionLine, { type: 'start' }>;
export type Neighbours = z.infer<typeof Schemas.Neighbours>;
export type Graph = z.infer<typeof Schemas.GraphAnswer>;
export type Metadata = z.infer<typeof Schemas.MetadataAnswer>;
export type Stats = z.infer<typeof Schemas.Stats>;
export type ModelStats = Stats['models'][number];
