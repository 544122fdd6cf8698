/** What cli/tools/build-page.ts puts into the bundle, and the files that it copies. */

interface Sample {
  name: string;
  /** As a file is called. */
  file: string;
  /** Relative to the page. */
  url: string;
}
declare const DRAWINGS: Sample[];
declare const DRAWINGS_LICENCE: string;
declare const PHOTOGRAPHS: Sample[];

declare module '*.css';
