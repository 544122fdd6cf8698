import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkSpeed, stepCost } from '../../../train/distributed/cost-model.js';

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

test('matches an estimate made by hand for two machines: the first bucket travels while the second is computed', () => {
  // 2 (n − 1) / n is 1: 100 bytes travel 2 s and 30 bytes 0.6 s, each with two rounds of 50 µs.
  const buckets = [
    { ready: 1, bytes: 100 },
    { ready: 2.5, bytes: 30 },
  ];
  const { network, exposed } = stepCost(buckets, 2, 50);
  near(network, 2.6 + 2 * 100e-6);
  // The first arrives at 3.0001, when the second, ready since 2.5, sets off.
  near(exposed, 3 + 0.6 + 200e-6 - 2.5);
});

test('estimates no wait if the network is idle when a bucket is ready', () => {
  const buckets = [
    { ready: 1, bytes: 100 },
    { ready: 9, bytes: 30 },
  ];
  near(stepCost(buckets, 2, 50).exposed, 0.6 + 100e-6);
});

test('four machines send each byte one and a half times, in six rounds', () => {
  near(stepCost([{ ready: 1, bytes: 100 }], 4, 50).network, 3 + 6 * 50e-6);
});

for (const [text, bytes] of [
  ['25Gb', 3.125e9],
  ['800Mb', 1e8],
  ['1.6 Tbit/s', 2e11],
  ['10gbps', 1.25e9],
] as const) {
  test(`reads ${text}`, () => assert.equal(networkSpeed(text), bytes));
}

for (const text of ['25', 'fast', '25GB', '0Gb', '-1Gb']) {
  test(`refuses ${text}`, () => assert.throws(() => networkSpeed(text), /--network .*expected bits a second/));
}
