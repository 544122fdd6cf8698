/** A POST that tells how much of an image has been sent, which fetch does not. */
import type { Classified } from './answers.js';
import { IMAGE_HEADERS, refusal, whole } from './request.js';

/**
 * @param sent  called with the share of the bytes that have left, 0 to 1
 * @throws as `ask`
 */
export async function upload(
  url: string,
  image: Blob,
  signal: AbortSignal,
  sent: (share: number) => void,
): Promise<Classified> {
  const response = await whole(post(url, image, signal, sent));
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as Classified;
}

function post(url: string, image: Blob, signal: AbortSignal, sent: (share: number) => void): Promise<Response> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    for (const [name, value] of Object.entries(IMAGE_HEADERS)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => sent(loaded / (total || 1));
    request.onload = () => resolve(responseOf(request));
    request.onerror = () => reject(new TypeError('the connection failed'));
    request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    signal.addEventListener('abort', () => request.abort(), { once: true });
    request.send(image);
  });
}

function responseOf(request: XMLHttpRequest): Response {
  const retryAfter = request.getResponseHeader('retry-after');
  const headers = retryAfter === null ? undefined : { 'retry-after': retryAfter };
  return new Response(request.responseText, { status: request.status, headers });
}
