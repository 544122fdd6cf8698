/** The package has types for its CRC-32 alone. */
declare module 'crc-32/crc32c.js' {
  /** CRC-32C (Castagnoli) of the bytes, as a signed number of 32 bits. */
  const crc32c: { buf(bytes: Uint8Array): number };
  export default crc32c;
}
