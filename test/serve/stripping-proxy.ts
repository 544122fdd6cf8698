/**
 * A reverse proxy in this process that takes a prefix off the front of paths, as nginx does with `location /prefix/ {
 * proxy_pass URL/; }`.
 */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';

/**
 * Closed with the test file.
 * @param headers  added to every request
 * @returns        its address, prefix included
 */
export async function strippingProxy(
  url: string,
  prefix: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    if (!incoming.url!.startsWith(`${prefix}/`)) return void outgoing.writeHead(404).end('not of the server');
    const { method } = incoming;
    const path = incoming.url!.slice(prefix.length);
    const passed = request(url + path, { method, headers: { ...incoming.headers, ...headers } }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  after(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}${prefix}`;
}
