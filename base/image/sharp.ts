/**
 * The one door to sharp: its CommonJS build, which loads in half the time of its ES modules (35 and 65 ms), and a server
 * is not ready before.
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export const sharp = require('sharp') as typeof import('sharp').default;
