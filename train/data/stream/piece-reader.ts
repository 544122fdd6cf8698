/**
 * Files read by position: on this machine (`open-files.ts`) or behind a URL (`remote/remote-files.ts`); readers of
 * formats know no difference.
 */
import type { Readable } from 'node:stream';

export interface PieceReader {
  /** Under way when this returns; shorter than `length` if the file ends before. */
  read(file: string, position: number, length: number): Promise<Buffer>;
  /** For `Member.later`; a function that holds on to nothing else of its member. */
  piece(file: string, position: number, length: number): () => Promise<Buffer>;
  /** From front to back. */
  stream(file: string): Readable;
  whole(file: string): Promise<Buffer>;
  exists(file: string): Promise<boolean>;
  /** As `read`, at once; absent if files are far away. */
  readNow?(file: string, position: number, length: number): Buffer;
  /** As `read`, past any copy that is kept; absent if none are. */
  readAnew?(file: string, position: number, length: number): Promise<Buffer>;
  /** To be called when nothing is being read. */
  close(): void;
}
