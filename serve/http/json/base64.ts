/**
 * Bytes of base64 as clients write it: in one piece, in lines (Python's `encodebytes`, `base64` of coreutils, MIME), or
 * as a data URL (`readAsDataURL` in browsers).
 * @returns undefined if it is none
 */
export function bytesOfBase64(text: string): Buffer | undefined {
  const bare = text.replace(/^data:[^,]{0,100};base64,/i, '');
  const packed = /\s/.test(bare) ? bare.replace(/\s+/g, '') : bare;
  const padding = packed.indexOf('=');
  const isPadded = padding < 0 || /^={1,2}$/.test(packed.slice(padding));
  return isPadded && !/[^A-Za-z0-9+/=]/.test(packed) ? Buffer.from(packed, 'base64') : undefined;
}
