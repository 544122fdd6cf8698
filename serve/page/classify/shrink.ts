/** Images no larger than the network has use for: nobody waits for megapixels that the server would throw away. */

/** Of the shorter side; twice what AlexNet takes, so that the server's own filter decides how it looks. */
const LEAST_PX = 512;
/** Smaller files go as they are. */
const SMALL_BYTES = 300_000;
const QUALITY = 0.92;

/**
 * The image itself where it is small, or this browser cannot decode it: the server knows more formats, and says what is
 * wrong with a file.
 * @param neededPx  side of what the model takes
 */
export async function shrunk(blob: Blob, neededPx = 0): Promise<Blob> {
  if (blob.size <= SMALL_BYTES) return blob;
  const bitmap = await createImageBitmap(blob).catch(() => undefined);
  if (!bitmap) return blob;
  const scale = Math.min(1, Math.max(LEAST_PX, neededPx) / Math.min(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  const context = canvas.getContext('2d')!;
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  // WebP keeps transparency; a browser that cannot write it writes PNG.
  const smaller = await canvas.convertToBlob({ type: 'image/webp', quality: QUALITY }).catch(() => blob);
  return smaller.size < blob.size ? smaller : blob;
}
