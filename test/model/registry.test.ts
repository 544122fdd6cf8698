import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UserError } from '../../base/errors.js';
import { findNetwork, NETWORKS } from '../../model/registry.js';

test('finds every network by its own name', () => {
  for (const [name, spec] of Object.entries(NETWORKS)) {
    assert.equal(spec.name, name);
    assert.equal(findNetwork(name), spec);
  }
});

test('names the nearest network and all others for an unknown name', () => {
  assert.throws(
    () => findNetwork('cifar10-19pct'),
    (error: Error) =>
      error instanceof UserError &&
      error.message ===
        'unknown network "cifar10-19pct"; did you mean cifar10-18pct? There are: ' +
          'alexnet, alexnet-torchvision, caffenet, cifar10-18pct, cifar10-11pct, cifar10-quick',
  );
  assert.throws(() => findNetwork('vgg'), /^UserError: unknown network "vgg"\. There are: alexnet, /);
  assert.throws(() => findNetwork('AlexNt'), /did you mean alexnet\?/);
  assert.throws(() => findNetwork('toString'), UserError);
});
