/** A model file opened to be looked into: every view by its name. The server's process for views and the command line share it. */
import { createHash } from 'node:crypto';
import sharp from 'sharp';
import type { NamedCrop } from '../crops.js';
import { RequestError } from '../errors.js';
import { fileSignature } from '../file-signature.js';
import { allowOnlyPictures } from '../inference/decode.js';
import { CropNetwork, type Rows, type Values } from './crop-network.js';
import { describeFile, describeGraph } from './describe-file.js';
import { drawKernels } from './draw/draw-kernels.js';
import { sceneToPng, sceneToSvg } from './draw/scene.js';
import { findLayer, position } from './find-layer.js';
import { featureLayer } from './index/build-index.js';
import { PictureIndex } from './index/picture-index.js';
import { kernelsOf, readsColours } from './kernels.js';
import { inputOf, type LayerRow, layerTable, lrnOf, type ReceptiveField, sourceOf } from './layer-table.js';
import type { Layer } from './layers.js';
import { lrnAt } from './lrn.js';
import type { ExplainOptions, ViewPart, ViewRequest } from './messages.js';
import { occlude } from './occlusion.js';
import { encodeSafetensors } from './safetensors.js';
import { sha256Of } from './sha256-of.js';

type Request<V extends ViewRequest['view']> = Extract<ViewRequest, { view: V }>;

/** A picture that was looked at last: another look at it decodes and infers nothing. */
interface Looked {
  key: string;
  pixels: Uint8Array;
  rows: Rows;
  /** By crop, then by layer. */
  values: Map<number, Map<string, Values>>;
}

export class Explainer {
  private looked?: Looked;
  private indexed?: Promise<PictureIndex>;
  /** Of the model's file. */
  private sha256?: string;

  private constructor(
    readonly network: CropNetwork,
    private readonly options: ExplainOptions,
  ) {}

  /**
   * Restricts sharp's loaders for the whole process.
   * @throws {UserError} as `CropNetwork.open`
   */
  static async open(options: ExplainOptions): Promise<Explainer> {
    allowOnlyPictures();
    return new Explainer(await CropNetwork.open(options), options);
  }

  /**
   * The parts of a view, each after some work that blocks the calling thread. What is not asked for is not computed.
   * @throws {RequestError}
   */
  async *view(request: ViewRequest): AsyncGenerator<ViewPart> {
    await this.checkUnchanged();
    switch (request.view) {
      case 'layers':
        return yield { json: await this.layers() };
      case 'graph':
        return yield { json: describeGraph(this.network) };
      case 'metadata':
        return yield { json: await describeFile(this.network) };
      case 'picture':
        return yield await this.picture(request);
      case 'activations':
        return yield await this.activations(request);
      case 'lrn':
        return yield { json: await this.lrn(request) };
      case 'kernels':
        return yield await this.kernels(request);
      case 'occlusion':
        return yield* this.occlusion(request);
      case 'neighbours':
        return yield { json: await this.neighbours(request) };
      case 'strongest':
        return yield { json: await this.strongest(request) };
    }
  }

  async release(): Promise<void> {
    await this.indexed?.then((index) => index.close());
    await this.network.release();
  }

  private async layers(): Promise<object> {
    const { network } = this;
    const { layers, input, crops, centre, model } = network;
    const own = input.shape.slice(1);
    const indexed = this.options.index === undefined ? [] : (await this.index()).header.layers.map(({ name }) => name);
    const rows = (await this.table()).map((row) => {
      const layer = layers.find(({ name }) => name === row.name)!;
      const has = { kernels: readsColours(network, layer), lrn: row.lrn, strongest: indexed.includes(row.name) };
      return {
        ...row,
        views: ['activations', ...Object.entries(has).flatMap(([view, there]) => (there ? [view] : []))],
      };
    });
    const total = (key: 'parameters' | 'macs') => rows.reduce((sum, row) => sum + row[key], 0);
    const totals = { parameters: total('parameters'), macs: total('macs') };
    const unavailable = unavailableOf(rows.map(({ views }) => views));
    return {
      image_px: model.imagePx,
      input: { name: input.name, shape: own },
      crops,
      centre,
      layers: rows,
      totals,
      unavailable,
    };
  }

  private async table(): Promise<LayerRow[]> {
    const { graph, layers, input } = this.network;
    const shapes = await this.network.shapes();
    const shapeOf = (value: string) => (value === input.name ? input.shape.slice(1) : shapes.get(value));
    return layerTable(graph, layers, input.name, shapeOf);
  }

  private async picture({ bytes, crop }: Request<'picture'>): Promise<ViewPart> {
    const { pixels } = await this.look(bytes);
    const { imagePx } = this.network.model;
    const square = sharp(pixels, { raw: { width: imagePx, height: imagePx, channels: 3 } });
    if (crop === undefined) return { type: 'image/png', bytes: await square.png().toBuffer() };
    return { type: 'image/png', bytes: await cutOut(pixels, imagePx, this.crop(crop).crop) };
  }

  private async activations({ bytes, crop, layers: names }: Request<'activations'>): Promise<ViewPart> {
    const shapes = await this.network.shapes();
    const wanted = names
      ? names.map((name) => findLayer(this.network, name, ({ value }) => shapes.has(value)))
      : this.network.layers.filter(({ value }) => shapes.has(value));
    const { index } = this.crop(crop);
    const values = await this.values(await this.look(bytes), index, wanted);
    const chosen = new Map(wanted.map(({ name }) => [name, withoutRows(values.get(name)!)]));
    return { type: 'application/octet-stream', bytes: encodeSafetensors(chosen, { crop: String(index) }) };
  }

  private async lrn({ bytes, crop, layer: name, ...place }: Request<'lrn'>): Promise<object> {
    const { graph, layers } = this.network;
    const isLrn = ({ main }: Layer) => main?.opType === 'LRN';
    if (!layers.some(isLrn))
      throw new RequestError('VIEW_UNAVAILABLE', 'this model has no response normalisation (LRN)');
    const layer = findLayer(this.network, name, isLrn);
    const read = sourceOf(graph, inputOf(graph, layer));
    const before = layers.find(({ value }) => value === read);
    if (!before) throw new RequestError('VIEW_UNAVAILABLE', `${name} normalises ${read}, which is no layer's value`);
    const { index } = this.crop(crop);
    const values = await this.values(await this.look(bytes), index, [before, layer]);
    const view = lrnAt(values.get(before.name)!, values.get(name)!, lrnOf(layer.main!), place);
    return { layer: name, input: before.name, crop: index, ...view };
  }

  private async kernels({ layer, format }: Request<'kernels'>): Promise<ViewPart> {
    const view = await kernelsOf(this.network, layer);
    if (format === 'safetensors') {
      const bytes = encodeSafetensors(new Map([[view.layer, view.kernels]]), { groups: String(view.groups) });
      return { type: 'application/octet-stream', bytes };
    }
    const { scene, layout } = drawKernels(view);
    if (format === 'png') return { type: 'image/png', bytes: await sceneToPng(scene), about: layout };
    return { type: 'image/svg+xml', bytes: Buffer.from(await sceneToSvg(scene)), about: layout };
  }

  private async *occlusion({ bytes, crop, ...options }: Request<'occlusion'>): AsyncGenerator<ViewPart> {
    const chosen = this.crop(crop);
    const { rows } = await this.look(bytes);
    const { rowSize } = this.network;
    const row = rows.subarray(chosen.index * rowSize, (chosen.index + 1) * rowSize);
    for await (const part of occlude(this.network, row, chosen.crop, options)) yield { json: part };
  }

  private async neighbours({ bytes, k }: Request<'neighbours'>): Promise<object> {
    const index = await this.index();
    const { layer: name, dimension, pictures: indexed, data } = index.header;
    const { rows } = await this.look(bytes);
    const { rowSize, centre } = this.network;
    const layer = featureLayer(this.network);
    const values = await this.network.run(rows.subarray(centre * rowSize, (centre + 1) * rowSize), [layer]);
    const found = await index.nearest(values.get(layer.name)!.data, k);
    const neighbours = found.map(({ picture, distance }) => ({ ...known(index, picture), distance }));
    return { layer: name, dimension, metric: 'euclidean', method: index.method, indexed, data, neighbours };
  }

  private async strongest({ layer: name, channel }: Request<'strongest'>): Promise<object> {
    const index = await this.index();
    const { layers, pictures: indexed } = index.header;
    const layer = findLayer(this.network, name, (each) => layers.some((recorded) => recorded.name === each.name));
    position('channel', channel, layers.find((recorded) => recorded.name === name)!.channels, 0);
    const { imagePx } = this.network.model;
    const row = (await this.table()).find((each) => each.name === layer.name);
    const crop = this.network.crops[this.network.centre];
    const strongest = index.strongestOf(name, channel)!.map(({ picture, value, y, x }) => {
      const field =
        row?.receptive_field && row.output.length === 3 ? fieldOf(row.receptive_field, y, x, crop) : undefined;
      return { ...known(index, picture), value, y, x, field, image_px: imagePx };
    });
    return { layer: name, channel, indexed, strongest };
  }

  /** @throws {RequestError} VIEW_UNAVAILABLE where there is none, or another model's */
  private async index(): Promise<PictureIndex> {
    const { index, file } = this.options;
    if (index === undefined) {
      throw new RequestError(
        'VIEW_UNAVAILABLE',
        'needs an index of pictures: make one with "alexnet index --model FILE --data DATA --out INDEX", start with "alexnet serve --index INDEX"',
      );
    }
    this.indexed ??= PictureIndex.open(index);
    const opened = await this.indexed;
    this.sha256 ??= await sha256Of(file);
    if (opened.header.model.sha256 === this.sha256) return opened;
    throw new RequestError('VIEW_UNAVAILABLE', 'the index of this server was made with another model file');
  }

  private crop(wanted: number | undefined): { index: number; crop: NamedCrop } {
    const { crops, centre } = this.network;
    const index = position('crop', wanted, crops.length, centre);
    return { index, crop: crops[index] };
  }

  private async look(bytes: Uint8Array): Promise<Looked> {
    const key = createHash('sha256').update(bytes).digest('hex');
    if (this.looked?.key !== key) {
      const pixels = await this.network.decode(bytes);
      this.looked = { key, pixels, rows: await this.network.rows(pixels), values: new Map() };
    }
    return this.looked;
  }

  /** Of every layer at the first call for a crop: one run gives all. */
  private async values({ rows, values }: Looked, crop: number, layers: readonly Layer[]): Promise<Map<string, Values>> {
    const { rowSize } = this.network;
    const shapes = await this.network.shapes();
    let known = values.get(crop);
    if (!known || layers.some(({ name }) => !known?.has(name))) {
      const all = this.network.layers.filter(({ value }) => shapes.has(value));
      known = await this.network.run(rows.subarray(crop * rowSize, (crop + 1) * rowSize), all);
      values.clear(); // one crop's are kept
      values.set(crop, known);
    }
    return known;
  }

  /** What is shown must be of the weights that classify. */
  private async checkUnchanged(): Promise<void> {
    const { file, signature } = this.options;
    if (signature === undefined || signature === (await fileSignature(file).catch(() => 'none'))) return;
    throw new RequestError('VIEW_UNAVAILABLE', 'the file of this model was changed after it was loaded; load it again');
  }
}

function known(index: PictureIndex, picture: number) {
  const jpeg = index.thumbnail(picture);
  return { ...index.name(picture), thumbnail: jpeg && `data:image/jpeg;base64,${jpeg.toString('base64')}` };
}

/** What unit (y, x) sees of the picture, clipped to the crop. */
function fieldOf({ size, stride, start }: ReceptiveField, y: number, x: number, { top, left, size: side }: NamedCrop) {
  const along = (at: number) => {
    const first = Math.max(0, start + stride * at);
    return { first, length: Math.min(side, start + stride * at + size) - first };
  };
  const [rows, columns] = [along(y), along(x)];
  return { top: top + rows.first, left: left + columns.first, height: rows.length, width: columns.length };
}

function withoutRows({ shape, data }: Values): Values {
  return { shape: shape.slice(1), data };
}

function unavailableOf(views: readonly string[][]): string[] {
  const reasons: Record<string, string> = {
    kernels: 'kernels as colours: no convolution of this model reads the three colours',
    lrn: 'response normalisation: this model has no LRN operator',
  };
  return Object.keys(reasons).flatMap((view) => (views.some((some) => some.includes(view)) ? [] : [reasons[view]]));
}

async function cutOut(pixels: Uint8Array, imagePx: number, { top, left, size, mirror }: NamedCrop): Promise<Buffer> {
  const square = sharp(pixels, { raw: { width: imagePx, height: imagePx, channels: 3 } });
  return square.extract({ top, left, width: size, height: size }).flop(mirror).png().toBuffer();
}
