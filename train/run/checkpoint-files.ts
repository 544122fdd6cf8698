/** How the files of a checkpoint differ from others in its folder. */

/** Step, start of the hash; while it is written, without the hash. */
const DATA_FILE = /^(weights|velocity)-\d+-([0-9a-f]{8}\.bin|\.bin\.(alexnet-)?tmp)$/;

/** Weights or velocities, whole or half written. */
export function isDataFile(name: string): boolean {
  return DATA_FILE.test(name);
}

export function isCheckpointFile(name: string, start: Buffer): boolean {
  return isDataFile(name) || name === 'model.json.alexnet-tmp' || (name === 'model.json' && isModelJson(start));
}

/** The key that a run adds to tfjs's own, see `CheckpointRecord`. */
function isModelJson(start: Buffer): boolean {
  return start.includes('"alexnet":{"state":') || isCutModelJson(start);
}

/** Where a crash or a full disk left less than the key: nobody else's model is half a file. */
function isCutModelJson(start: Buffer): boolean {
  return (
    start.subarray(0, 32).includes('{"modelTopology":{"class_name":') &&
    !start.toString('latin1').trimEnd().endsWith('}')
  );
}
