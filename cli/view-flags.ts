/** What the commands that draw views share. */
import { DEFAULTS } from '../serve/defaults.js';

export const MODEL_HELP = 'the .onnx file, ours or with a config.json next to it';
export const OUT_HELP = 'drawing: .png (images alone), .svg or .html';
export const { maxPixels } = DEFAULTS;
