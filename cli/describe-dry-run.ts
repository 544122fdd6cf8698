/** What `--dry-run` prints. */
import { counted } from '../base/format.js';
import type { DistributedCost, DryRun } from '../train/measure/dry-run.js';

export function dryRunJson(dryRun: DryRun): object {
  const { microBatch, stepsPerEpoch, imagesPerSecond, validationImagesPerSecond, hours, ...rest } = dryRun;
  const { peakBytes, checkpointBytes, distributed, ...same } = rest;
  return {
    ...same,
    micro_batch: microBatch,
    steps_per_epoch: stepsPerEpoch,
    images_per_second: imagesPerSecond,
    validation_images_per_second: validationImagesPerSecond,
    hours,
    peak_memory_bytes: peakBytes,
    checkpoint_bytes: checkpointBytes,
    ...(distributed && {
      ranks: distributed.ranks,
      gradient_bytes: distributed.bytes,
      computing_seconds: distributed.computing,
      network_seconds: distributed.network,
      exposed_network_seconds: distributed.exposed,
    }),
  };
}

/** For people: what several processes cost each other in a step. */
function describeDistributed({ ranks, bytes, denseShare, computing, network, exposed }: DistributedCost): string {
  const efficiency = (100 * computing) / (computing + exposed);
  return (
    `${ranks} processes: a step is ${seconds(computing)} of computing, measured here on one process's part, and ${seconds(exposed)} more of waiting: ` +
    `${megabytes(bytes)} MB of gradients (fully connected layers: ${(100 * denseShare).toFixed(1)} %) travel for ${seconds(network)}, the rest of it while computing; ` +
    `${efficiency.toFixed(0)} % of the speed of ${ranks} machines without a network`
  );
}

const seconds = (value: number) => (value < 1 ? `${(1000 * value).toPrecision(3)} ms` : `${value.toPrecision(3)} s`);

/** For people. */
export function describeDryRun(dryRun: DryRun): string {
  const {
    model,
    data,
    backend,
    classes,
    parameters,
    pictures: images,
    batch,
    microBatch,
    stepsPerEpoch,
    epochs,
  } = dryRun;
  const { imagesPerSecond, validationImagesPerSecond, hours, peakBytes, checkpointBytes } = dryRun;
  const parts = microBatch
    ? `, ${microBatch} images at once`
    : '; --micro-batch N with --dry-run measures smaller parts';
  return [
    `${model}: ${parameters.toLocaleString('en')} parameters for the ${classes} classes of ${data}`,
    `${images.train} train and ${images.val} val images: ${counted(stepsPerEpoch, 'step')} of ${batch} an epoch, ${stepsPerEpoch * epochs} in ${counted(epochs, 'epoch')}`,
    `${formatRate(imagesPerSecond)} images/s training, ${formatRate(validationImagesPerSecond)} validating, on ${backend}`,
    ...(dryRun.distributed ? [describeDistributed(dryRun.distributed)] : []),
    `${formatHours(hours)} for ${counted(epochs, 'epoch')} with validation`,
    `memory: ${(peakBytes / 1e9).toFixed(2)} GB at the peak${parts}`,
    `disk: ${megabytes(checkpointBytes)} MB a checkpoint, ${megabytes(3 * checkpointBytes)} MB with last/, best/ and the one that is being written`,
  ].join('\n');
}

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

function formatRate(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function formatHours(hours: number): string {
  if (hours < 1 / 60) return `${(3600 * hours).toPrecision(2)} seconds`;
  if (hours < 1) return `${(60 * hours).toPrecision(2)} minutes`;
  return hours < 48
    ? `${hours.toPrecision(3)} hours`
    : `${hours.toFixed(0)} hours (${(hours / 24).toPrecision(3)} days)`;
}
