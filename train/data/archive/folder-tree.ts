/** The folders of a data set that hold images, at any depth. */

const SYNSET_FILE = /^(n\d{8}(?:_.+)?)\.[^.]+$/;

export interface Folder {
  name: string;
  /** From the source's top, without a slash at its end; empty for the top itself. */
  path: string;
  /** Those that hold images, or folders that do. */
  folders: Map<string, Folder>;
  /** The first image that lies directly in it, and the first whose name does not tell its class. */
  image?: string;
  unnamed?: string;
}

/** @param paths  of all images */
export function folderTree(paths: Iterable<string>): Folder {
  const top: Folder = { name: '', path: '', folders: new Map() };
  for (const path of paths) {
    const parts = path.split('/');
    const file = parts.pop()!;
    const folder = parts.reduce(folderIn, top);
    folder.image ??= path;
    if (classInName(file) === undefined) folder.unnamed ??= path;
  }
  return top;
}

function folderIn(folder: Folder, name: string): Folder {
  let inside = folder.folders.get(name);
  if (!inside) {
    inside = { name, path: pathIn(folder.path, name), folders: new Map() };
    folder.folders.set(name, inside);
  }
  return inside;
}

const pathIn = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);

export const foldersIn = ({ folders }: Folder): Folder[] => [...folders.values()];

/** The folder in one that holds nothing else. */
export function onlyFolder({ folders, image }: Folder): Folder | undefined {
  return folders.size === 1 && image === undefined ? [...folders.values()][0] : undefined;
}

/** `nXXXXXXXX_label` of an image file `nXXXXXXXX_label_12.JPEG`. */
export const classInName = (file: string): string | undefined => SYNSET_FILE.exec(file)?.[1].replace(/_\d+$/, '');
