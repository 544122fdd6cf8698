/** A model that has no place yet as a file, for a check. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OnnxModel, type SavedModel, saveModel } from '../../onnx/file/onnx-model.js';

/** Calls `check` with a file that is there until it ends. */
export async function withSaved<T>(model: OnnxModel, check: (saved: SavedModel) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'alexnet-'));
  try {
    return await check(await saveModel(model, join(folder, 'model.onnx')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
