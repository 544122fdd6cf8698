/**
 * Opening a named pipe waits for whoever writes to it, in a thread that all access to files shares: the program would
 * stand still.
 */
import { readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from './errors.js';

/**
 * As `requireFile`, for a model file: of a folder it names the models in it, or how a run becomes one.
 * @throws {UserError}
 */
export const requireModelFile = (path: string): void => requireFile(path, adviceOnModels);

function adviceOnModels(folder: string): string {
  const names = readdirSync(folder);
  const models = names.filter((name) => name.endsWith('.onnx')).map((name) => join(folder, name));
  if (models.length > 0) return `, such as ${models.slice(0, 3).join(', ')}`;
  const isRun = ['config.json', 'last'].every((name) => names.includes(name));
  return isRun ? `; "alexnet export --run ${folder}" makes one` : '';
}

/**
 * To be called before a file that a person names is opened.
 * @param advice  added to the message about a folder
 * @throws {UserError} where something else than a file is there; what cannot be looked at is left to the opening
 */
export function requireFile(path: string, advice: (folder: string) => string = () => ''): void {
  const found = statOf(path);
  if (!found || found.isFile()) return;
  if (found.isDirectory()) throw new UserError(`${path}: is a folder; expected a file${advice(path)}`);
  const kind = found.isFIFO() ? 'a named pipe' : found.isSocket() ? 'a socket' : 'a device';
  throw new UserError(`${path}: is not a file but ${kind}; put a plain file there`);
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
