/** What cli/tools/build-page.ts puts into the bundle, and the files that it copies. */

/** Images to try, relative to the page. */
declare const SAMPLES: { name: string; url: string }[];
/** Of their drawings. */
declare const SAMPLES_LICENCE: string;

declare module '*.css';
