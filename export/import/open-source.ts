/** Opens a file of weights, whatever its format: by its ending, else by its first bytes. */
import { extname } from 'node:path';
import { UserError } from '../../base/errors.js';
import type { NetworkSpec } from '../../model/spec.js';
import { openSafetensors } from '../../onnx/file/safetensors.js';
import type { StoredTensor } from '../../onnx/file/stored-tensor.js';
import { openCaffemodel } from './caffe/caffemodel.js';
import { isNpy, openNpy, openNpz } from './numpy/numpy-file.js';
import { openOnnxSource } from './onnx-weights.js';
import { isLegacyForm, openLegacyForm, openZipForm, type TorchFile, torchFolder } from './pytorch/torch-file.js';
import { weightsOf } from './pytorch/torch-weights.js';
import { readHead } from './read-head.js';
import type { Source } from './source.js';
import { sourceOfStateDict } from './state-dict.js';
import { openZip } from './zip.js';

/** What a file says, for a network whose layers it may be. @throws {UserError} if it cannot be one of that network */
export type OpenedFile = (spec: NetworkSpec) => Source;

/** For help texts and messages. */
export const FORMATS = '.onnx, .safetensors, .pth, .pt, .caffemodel, .npy, .npz';

/** @throws {UserError} when the file is absent, damaged or of another kind */
export async function openSource(file: string): Promise<OpenedFile> {
  switch (extname(file).toLowerCase()) {
    case '.onnx': {
      const source = await openOnnxSource(file);
      return () => source;
    }
    case '.caffemodel': {
      const source = await openCaffemodel(file);
      return () => source;
    }
    case '.safetensors':
      return named(file, await openSafetensors(file));
    default:
      return openByContents(file);
  }
}

async function openByContents(file: string): Promise<OpenedFile> {
  const head = await readHead(file, 64);
  const text = head.toString('latin1');
  if (text.startsWith('PK')) return openArchive(file);
  if (isLegacyForm(head)) return torch(file, await openLegacyForm(file));
  if (isNpy(head)) return numpy(file, await openNpy(file));
  if (text.startsWith('\x89HDF\r\n')) throw new UserError(hdf5Advice(file));
  throw new UserError(`${file}: expected weights (${FORMATS}), got something else`);
}

async function openArchive(file: string): Promise<OpenedFile> {
  const members = await openZip(file);
  if (torchFolder(members) !== undefined) return torch(file, await openZipForm(file, members));
  if ([...members.keys()].some((name) => name.endsWith('.npy'))) return numpy(file, await openNpz(file, members));
  throw new UserError(`${file}: expected a ZIP archive that PyTorch (data.pkl) or NumPy (.npy) wrote, got another`);
}

function named(file: string, tensors: readonly StoredTensor[]): OpenedFile {
  return (spec) => sourceOfStateDict(file, tensors, spec);
}

function torch(file: string, saved: TorchFile): OpenedFile {
  const { tensors, lrns } = weightsOf(file, saved);
  return (spec) => ({ ...sourceOfStateDict(file, tensors, spec), ...(lrns.length > 0 ? { lrns } : {}) });
}

/** caffe-tensorflow made the dictionaries that people have: TensorFlow's order, Caffe's pixels and constants. */
function numpy(file: string, tensors: readonly StoredTensor[]): OpenedFile {
  return (spec) => {
    const source = sourceOfStateDict(file, tensors, spec);
    const isConverted = source.ownNames && source.layers.some(({ flattened }) => flattened === 'hwc');
    return isConverted ? { ...source, habits: 'caffe' } : source;
  };
}

function hdf5Advice(file: string): string {
  const npz = `${file.replace(/\.\w+$/, '')}.npz`;
  const code = [
    'import h5py, numpy',
    'd = {}',
    `h5py.File('${file}').visititems(lambda n, v: d.update({n: v[()]}) if hasattr(v, 'dtype') and 'optimizer' not in n else None)`,
    `numpy.savez('${npz}', **d)`,
  ].join('; ');
  return `${file}: HDF5 is not read here; convert it with python3 -c "${code}" and import ${npz}`;
}
