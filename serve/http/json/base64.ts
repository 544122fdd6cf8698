/**
 * Bytes of base64 as clients write it: in one piece, or in lines (Python's `encodebytes`, `base64` of coreutils, MIME).
 * @returns undefined if it is none
 */
export function bytesOfBase64(text: string): Buffer | undefined {
  const packed = /\s/.test(text) ? text.replace(/\s+/g, '') : text;
  const padding = packed.indexOf('=');
  const isPadded = padding < 0 || /^={1,2}$/.test(packed.slice(padding));
  return isPadded && !/[^A-Za-z0-9+/=]/.test(packed) ? Buffer.from(packed, 'base64') : undefined;
}
