import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { order } from './images.js';
import { obedient, post } from './running.js';

/** Seconds until the server cuts a connection on which `start` is sent and then a byte every second. */
function cutAfter(url: string, start: string): Promise<number> {
  const { port, hostname } = new URL(url);
  const started = performance.now();
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(start));
    const drip = setInterval(() => socket.write('x'), 1000);
    socket.on('error', () => undefined); // a write after the cut
    socket.on('data', () => undefined);
    socket.on('close', () => {
      clearInterval(drip);
      resolve((performance.now() - started) / 1000);
    });
  });
}

test('cuts clients that send a byte a second, in head or body, and answers others meanwhile', async () => {
  const { url } = await obedient();
  const head = 'POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n';
  const slow = [cutAfter(url, `${head}X-Slow: `), cutAfter(url, `${head}\r\n`)];
  for (let i = 0; i < 100; i++) slow.push(cutAfter(url, i % 2 ? `${head}\r\n` : head));
  for (let second = 0; second < 5; second++) {
    const started = performance.now();
    assert.equal((await post(url, order('sleep 0'))).status, 200);
    assert.ok(performance.now() - started < 1000);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  for (const seconds of await Promise.all(slow)) assert.ok(seconds > 9 && seconds < 20, `${seconds} s`);
});
