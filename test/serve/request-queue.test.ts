import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestQueue } from '../../serve/hosting/request-queue.js';
import type { ToInference } from '../../serve/inference/messages.js';
import { answerOf } from './answer-of.js';

/** A queue whose messages are kept instead of sent. */
function queueOf(maxWaiting = 10, timeoutMs = 10_000) {
  const messages: ToInference[] = [];
  const queue = new RequestQueue({ maxWaiting, timeoutMs });
  const lane = queue.addLane({ send: (message) => messages.push(message), kill: () => undefined });
  /** Ids of the images sent since the last call. */
  const sent = () => messages.splice(0).map(({ type, id }) => (type === 'cancel' ? `cancel ${id}` : id));
  const answered = new Map<number, string>();
  const add = (image: number, signal = new AbortController().signal) => {
    queue.add({ type: 'classify', bytes: Uint8Array.of(image) }, signal).then(
      () => answered.set(image, 'answer'),
      (error) => answered.set(image, error.code ?? error.message),
    );
  };
  const settled = async () => {
    await new Promise(setImmediate);
    return Object.fromEntries(answered);
  };
  return { queue, lane, sent, add, settled };
}

test('sends one image until something is answered, then three ahead, in order', async () => {
  const { lane, sent, add, settled } = queueOf();
  for (const image of [1, 2, 3, 4, 5]) add(image);
  assert.deepEqual(sent(), []);
  lane.processReady();
  assert.deepEqual(sent(), [1]);
  lane.reply(answerOf(1));
  assert.deepEqual(sent(), [2, 3, 4]);
  lane.reply(answerOf(2));
  assert.deepEqual(sent(), [5]);
  for (const id of [3, 4, 5]) lane.reply(answerOf(id));
  assert.deepEqual(await settled(), { 1: 'answer', 2: 'answer', 3: 'answer', 4: 'answer', 5: 'answer' });
});

test('fails only the image that kills the process twice, whatever was sent with it', async () => {
  const { lane, sent, add, settled } = queueOf();
  lane.processReady();
  add(1);
  lane.reply(answerOf(1));
  for (const image of [2, 3, 4]) add(image); // 3 kills, at first while it is decoded with 2
  assert.deepEqual(sent(), [1, 2, 3, 4]);
  const restart = () => {
    lane.processDied();
    lane.processReady();
    return sent();
  };
  assert.deepEqual(restart(), [2]);
  lane.reply(answerOf(2));
  assert.deepEqual(sent(), [3, 4]);
  assert.deepEqual(restart(), [3]);
  assert.deepEqual(restart(), [4]);
  lane.reply(answerOf(4));
  assert.deepEqual(await settled(), { 1: 'answer', 2: 'answer', 3: 'INFERENCE_FAILED', 4: 'answer' });
});

test('cancels an image that is with the process and drops one that is not', async () => {
  const { queue, lane, sent, add, settled } = queueOf();
  lane.processReady();
  const gone = new AbortController();
  add(1);
  add(2, gone.signal);
  add(3);
  lane.reply(answerOf(1));
  add(4);
  add(5, gone.signal);
  assert.deepEqual(sent(), [1, 2, 3, 4]);
  gone.abort(new Error('gone'));
  assert.deepEqual(sent(), ['cancel 2']);
  assert.equal(queue.pending, 2);
  lane.reply({ type: 'skipped', id: 2 });
  for (const id of [3, 4]) lane.reply(answerOf(id));
  assert.deepEqual(await settled(), { 1: 'answer', 2: 'gone', 3: 'answer', 4: 'answer', 5: 'gone' });
});

test('refuses the image that does not fit in the queue, with the seconds until there should be room', async () => {
  const { queue, lane, add, settled } = queueOf(2);
  lane.processReady();
  add(1);
  lane.reply(answerOf(1, 700));
  for (const image of [2, 3, 4]) add(image);
  assert.throws(() => queue.requireRoom(), { code: 'QUEUE_FULL', retryAfterS: 3 }); // 3 × 0.7 s
  add(5);
  assert.deepEqual(await settled(), { 1: 'answer', 5: 'QUEUE_FULL' });
  lane.processDied();
  assert.equal(queue.pending, 3);
  for (const _ of [1, 2, 3, 4, 5, 6]) {
    lane.processReady();
    lane.processDied();
  }
  await queue.idle();
});

test('gives each process a line of its own, the shorter one first, and sends what one leaves behind to the other', async () => {
  const queue = new RequestQueue({ maxWaiting: 10, timeoutMs: 10_000 });
  const sent: string[] = [];
  const lanes = ['a', 'b'].map((process) =>
    queue.addLane({
      send: ({ type, id }) => sent.push(`${process}${type === 'cancel' ? ' cancel' : ''} ${id}`),
      kill: () => undefined,
    }),
  );
  const answers = [1, 2, 3, 4].map((image) =>
    queue.add({ type: 'classify', bytes: Uint8Array.of(image) }, new AbortController().signal),
  );
  for (const lane of lanes) lane.processReady();
  assert.deepEqual(sent.splice(0), ['a 1', 'b 2']);
  lanes[1].reply(answerOf(2));
  assert.deepEqual(sent.splice(0), ['b 3', 'b 4']);
  lanes[1].processDied();
  lanes[0].reply(answerOf(1));
  assert.deepEqual(sent.splice(0), ['a 3', 'a 4']);
  lanes[0].reply(answerOf(3));
  lanes[0].reply(answerOf(4));
  assert.deepEqual(
    (await Promise.all(answers)).map(({ id }) => id),
    [1, 2, 3, 4],
  );
  assert.equal(queue.pending, 0);
});

test('sends two batches ahead to a process that runs several images together', () => {
  const { lane, sent, add } = queueOf(20);
  for (let image = 1; image <= 10; image++) add(image);
  lane.processReady(4);
  assert.deepEqual(sent(), [1]);
  lane.reply(answerOf(1));
  assert.deepEqual(sent(), [2, 3, 4, 5, 6, 7, 8, 9]);
  for (let id = 2; id <= 10; id++) lane.reply(answerOf(id)); // or their deadlines keep this process for 10 s
  assert.deepEqual(sent(), [10]);
});
