/** The Open Inference Protocol as its clients speak it, to the tiny model, and that model by hand. */
import assert from 'node:assert/strict';
import { CHANNEL_WEIGHTS, IMAGE_PX } from './tiny-model.js';

export const LENGTH = 'Inference-Header-Content-Length';
export const INFER = '/v2/models/quarters/infer';
export const ROW = IMAGE_PX * IMAGE_PX * 3;

/** Pixels of noise, [rows, 8, 8, 3]. */
export function pixels(rows: number): Uint8Array {
  return Uint8Array.from({ length: rows * ROW }, (_, i) => (i * 7919 + 13 * Math.floor(i / ROW)) % 256);
}

/** The model by hand: softmax of 4 × mean brightness a quarter. */
export function expected(row: Uint8Array): number[] {
  const sums = [0, 0, 0, 0];
  const half = IMAGE_PX / 2;
  for (let y = 0; y < IMAGE_PX; y++)
    for (let x = 0; x < IMAGE_PX; x++)
      for (let c = 0; c < 3; c++)
        sums[(y < half ? 0 : 2) + (x < half ? 0 : 1)] += row[(y * IMAGE_PX + x) * 3 + c] * CHANNEL_WEIGHTS[c];
  const powers = sums.map((sum) => Math.exp((4 * sum) / (255 * half * half)));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
}

export function close(actual: ArrayLike<number>, wanted: number[]): void {
  assert.equal(actual.length, wanted.length);
  wanted.forEach((value, i) => {
    assert.ok(Math.abs(actual[i] - value) < 1e-5, `${i}: ${actual[i]}, expected ${value}`);
  });
}

interface Output {
  name: string;
  shape: number[];
  datatype: string;
  data?: (number | string)[];
  parameters?: { binary_data_size: number };
}
export interface Reply {
  model_name: string;
  model_version: string;
  id?: string;
  outputs: Output[];
  error: string;
}

export async function parts(response: Response): Promise<{ status: number; reply: Reply; tail: Buffer }> {
  const body = Buffer.from(await response.arrayBuffer());
  const length = Number(response.headers.get(LENGTH) ?? body.length);
  return {
    status: response.status,
    reply: JSON.parse(body.subarray(0, length).toString()),
    tail: body.subarray(length),
  };
}

export const floats = (bytes: Buffer) => new Float32Array(Uint8Array.from(bytes).buffer);
export const image = (rows: number, extra: object = {}) => ({
  name: 'image',
  shape: [rows, IMAGE_PX, IMAGE_PX, 3],
  datatype: 'UINT8',
  ...extra,
});

/** What sends requests to a server. */
export function clientOf(url: string) {
  async function infer(body: object, path = INFER): Promise<{ status: number; reply: Reply }> {
    const response = await fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, reply: (await response.json()) as Reply };
  }

  /** JSON, then bytes, as Triton's clients send them. */
  async function inferBinary(json: object, bytes: Uint8Array, headerLength?: string) {
    const head = Buffer.from(JSON.stringify(json));
    const response = await fetch(url + INFER, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', [LENGTH]: headerLength ?? String(head.length) },
      body: Buffer.concat([head, bytes]),
    });
    return parts(response);
  }

  return { infer, inferBinary };
}
