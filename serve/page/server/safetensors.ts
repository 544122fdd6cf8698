/** The safetensors format (huggingface.co/docs/safetensors): 8 bytes of length, a JSON header, float32 data. */

export interface Tensor {
  /** [channels, height, width] or [units]. */
  shape: number[];
  values: Float32Array;
}

export interface Tensors {
  metadata: Record<string, string>;
  tensors: Map<string, Tensor>;
}

type Header = { __metadata__?: Record<string, string> } & Record<
  string,
  { dtype: string; shape: number[]; data_offsets: [number, number] }
>;

/** Views into the buffer: nothing is copied. */
export function readSafetensors(buffer: ArrayBuffer): Tensors {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(new Uint8Array(buffer, 8, length));
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(text) as Header;
  const tensors = Object.entries(entries).map(
    ([
      name,
      {
        shape,
        data_offsets: [begin, end],
      },
    ]): [string, Tensor] => [name, { shape, values: new Float32Array(buffer, 8 + length + begin, (end - begin) / 4) }],
  );
  return { metadata, tensors: new Map(tensors) };
}
