/** Names of files and folders among images: images, and what belongs to other programs. */
import { IMAGE_FORMATS } from './image/formats.js';

/** Of operating systems and storage devices. */
const NOT_DATA = new Set([
  '__MACOSX',
  'Thumbs.db',
  'desktop.ini',
  'lost+found',
  '@eaDir',
  '#recycle',
  '#snapshot',
  '$RECYCLE.BIN',
  'System Volume Information',
  '__pycache__',
]);
const IMAGE = new RegExp(`\\.(${IMAGE_FORMATS.flatMap(({ endings }) => endings).join('|')})$`, 'i');

/** A file or folder name that belongs to an operating system, a storage device or an editor and not to the data. */
export const isHidden = (name: string): boolean => name.startsWith('.') || NOT_DATA.has(name);

/** Whether a file's name ends as an image's, in any case. */
export const isImage = (path: string): boolean => IMAGE.test(path);
