/**
 * A model file opened to be looked into: every view by its name. The server's process for views and the command line
 * share it.
 */
import type { Sharp } from 'sharp';
import { bothNames } from '../../../base/errors.js';
import { sharp } from '../../../base/image/sharp.js';
import type { NamedCrop } from '../../crops.js';
import { RequestError } from '../../errors.js';
import { allowOnlyImages } from '../../inference/image/decode.js';
import { describeFile, describeGraph } from '../describe-file.js';
import { drawKernels } from '../draw/draw-kernels.js';
import { sceneToPng, sceneToSvg } from '../draw/scene.js';
import { CropNetwork } from '../engine/crop-network.js';
import { findLayer, position } from '../engine/find-layer.js';
import { kernelsOf, readsColours } from '../engine/kernels.js';
import { inputOf, type LayerRow, layerTable, lrnOf, sourceOf } from '../engine/layer-table.js';
import type { Layer } from '../engine/layers.js';
import { lrnAt } from '../engine/lrn.js';
import { occlude } from '../engine/occlusion.js';
import type { Values } from '../engine/run-rows.js';
import { IndexViews } from '../index/index-views.js';
import { encodeSafetensors } from '../safetensors.js';
import { LastImage } from './last-image.js';
import type { ViewOptions, ViewPart, ViewRequest } from './messages.js';

type Request<V extends ViewRequest['view']> = Extract<ViewRequest, { view: V }>;

export class Viewer {
  private readonly last: LastImage;
  private readonly index?: IndexViews;

  private constructor(
    readonly network: CropNetwork,
    private readonly options: ViewOptions,
  ) {
    this.last = new LastImage(network);
    if (options.index !== undefined) this.index = new IndexViews(options.index, network, this.last);
  }

  /**
   * Restricts sharp's loaders for the whole process.
   * @throws {UserError} as `CropNetwork.open`
   */
  static async open(options: ViewOptions): Promise<Viewer> {
    allowOnlyImages();
    return new Viewer(await CropNetwork.open(options), options);
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
        return yield await this.image(request);
      case 'activations':
        return yield await this.activations(request);
      case 'lrn':
        return yield { json: await this.lrn(request) };
      case 'kernels':
        return yield await this.kernels(request);
      case 'occlusion':
        return yield* this.occlusion(request);
      case 'neighbours':
        return yield { json: await this.indexed.neighbours(request) };
      case 'strongest':
        return yield { json: await this.indexed.strongest(request, await this.table()) };
    }
  }

  async release(): Promise<void> {
    await this.index?.close();
    await this.network.release();
  }

  private async layers(): Promise<object> {
    const { network } = this;
    const { layers, input, crops, centre, model } = network;
    const own = input.shape.slice(1);
    const indexed = (await this.index?.layers()) ?? [];
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
      preparation: network.preparation,
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

  private async image({ bytes, crop }: Request<'picture'>): Promise<ViewPart> {
    const { pixels } = await this.last.keep(bytes);
    const { width, height, channels } = this.network.file.recipe.decoding;
    const whole = sharp(pixels, { raw: { width, height, channels } });
    const shown = crop === undefined ? whole : cutOut(whole, this.crop(crop).crop);
    return { type: 'image/png', bytes: await shown.png().toBuffer() };
  }

  private async activations({ bytes, crop, layers: names }: Request<'activations'>): Promise<ViewPart> {
    const shapes = await this.network.shapes();
    const wanted = names
      ? names.map((name) => findLayer(this.network, name, ({ value }) => shapes.has(value)))
      : this.network.layers.filter(({ value }) => shapes.has(value));
    const { index } = this.crop(crop);
    const values = await this.last.values(bytes, index, wanted);
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
    if (!before) throw new RequestError('VIEW_UNAVAILABLE', `${name} normalises ${read}, which is not a layer's value`);
    const { index } = this.crop(crop);
    const values = await this.last.values(bytes, index, [before, layer]);
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
    const row = await this.last.row(bytes, chosen.index);
    for await (const part of occlude(this.network, row, chosen.crop, options)) yield { json: part };
  }

  /** @throws {RequestError} VIEW_UNAVAILABLE */
  private get indexed(): IndexViews {
    if (this.index) return this.index;
    throw new RequestError(
      'VIEW_UNAVAILABLE',
      'needs an index of images: make one with "alexnet index --model FILE --data DATA --out INDEX", and start the server with ' +
        `its path as ${bothNames('index')}`,
    );
  }

  private crop(wanted: number | undefined): { index: number; crop: NamedCrop } {
    const { crops, centre } = this.network;
    const index = position('crop', wanted, crops.length, centre);
    return { index, crop: crops[index] };
  }

  /** What is shown must be of the weights that classify. */
  private async checkUnchanged(): Promise<void> {
    const { signatures } = this.options;
    const { file } = this.network;
    const isUnchanged = () =>
      file.checkUnchanged().then(
        () => true,
        () => false,
      );
    if (!signatures || (String(signatures) === String(file.signatures) && (await isUnchanged()))) return;
    throw new RequestError('VIEW_UNAVAILABLE', 'the file of this model was changed after it was loaded; load it again');
  }
}

function withoutRows({ shape, data }: Values): Values {
  return { shape: shape.slice(1), data };
}

function unavailableOf(views: readonly string[][]): string[] {
  const reasons: Record<string, string> = {
    kernels: 'kernels as colours: no convolution of this model reads the three colours',
    lrn: 'response normalisation across maps: no layer of this model does it',
  };
  return Object.keys(reasons).flatMap((view) => (views.some((some) => some.includes(view)) ? [] : [reasons[view]]));
}

function cutOut(image: Sharp, { top, left, size, height = size, mirror }: NamedCrop): Sharp {
  return image.extract({ top, left, width: size, height }).flop(mirror);
}
