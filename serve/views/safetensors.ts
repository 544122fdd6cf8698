/**
 * Writes tensors in the safetensors format (huggingface/safetensors, README "Format"): header length, JSON header,
 * bytes; little-endian.
 */
import { bytesOf } from '../tensors.js';
import type { Values } from './engine/run-rows.js';

/** Data begin at a multiple of this, so that typed arrays can lie on them. */
const ALIGNMENT = 8;

export function encodeSafetensors(tensors: ReadonlyMap<string, Values>, metadata: Record<string, string>): Buffer {
  let end = 0;
  const entries = [...tensors].map(([name, { shape, data }]) => {
    const begin = end;
    end += data.byteLength;
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }] as const;
  });
  const json = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const padding = -Buffer.byteLength(json) & (ALIGNMENT - 1);
  const header = Buffer.from(json + ' '.repeat(padding));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, ...[...tensors.values()].map(({ data }) => bytesOf(data))]);
}
