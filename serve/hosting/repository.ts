/**
 * All models of a server, by name and version. A version that is reloaded answers from its old process until the new
 * one has run once; one that fails to load leaves things as they were.
 */
import { dirname, resolve } from 'node:path';
import { bothNames, UserError } from '../../base/errors.js';
import { fileSignature } from '../../base/file-signature.js';
import { anyRoots } from '../../base/links.js';
import type { VersionPolicy } from '../defaults.js';
import { RequestError } from '../errors.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics.js';
import { withoutPaths } from '../without-paths.js';
import {
  findModel,
  findModels,
  type ModelSource,
  requireModelName,
  type Shelf,
  type VersionSource,
  versionSignature,
} from './find-models.js';
import { HelperMemory } from './helper-memory.js';
import { type HostOptions, ModelHost } from './model-host.js';

export interface RepositoryOptions extends HostOptions {
  /** Paths of single `.onnx` files. */
  files: readonly string[];
  /** Folder with `<name>/<version>/model.onnx`. */
  folder?: string;
  versions: VersionPolicy;
  /** Links of models may lead out of their folders. */
  followLinks: boolean;
  /** A model of the folder that cannot be loaded ends the start; else it is left out. */
  strict: boolean;
  /** The server is not ready while a model is left out. */
  strictReadiness: boolean;
}

/** A version as the protocol's index lists it. */
export interface IndexEntry {
  name: string;
  version: string;
  state: 'READY' | 'UNAVAILABLE' | 'LOADING';
  reason: string;
}

export type LeftOut = Omit<IndexEntry, 'state'>;

interface Version {
  source: VersionSource;
  signature: string;
  host?: ModelHost;
  /** Why it does not answer, or why a newer file of it does not. */
  reason: string;
  /** It could not be loaded and nothing answers in its place: requests learn the reason. */
  isLeftOut?: boolean;
}

/** Stands for all versions of a model whose folder cannot be read. */
const NO_VERSION = '';

export class Repository {
  /** By name, then by version, the lowest first. */
  private readonly models = new Map<string, Map<string, Version>>();
  /** Sources by name, for single files. */
  private readonly single = new Map<string, ModelSource>();
  /** Hosts that are loading, or that still answer after they were replaced. */
  private readonly others = new Set<ModelHost>();
  private loading = true;
  private ending = false;
  private turn: Promise<unknown> = Promise.resolve();
  private readonly memory: HelperMemory;

  constructor(
    private readonly options: RepositoryOptions,
    private readonly metrics: Metrics,
    private readonly log: Log,
  ) {
    this.memory = new HelperMemory(options.helperMemory);
  }

  /**
   * Loads every model; those of the folder that fail are left out, unless `strict` is set.
   * @throws {UserError} when none is left, two have one name, or a single file cannot be loaded
   */
  async start(): Promise<void> {
    const found = this.shelf ? await findModels(this.shelf, this.log) : [];
    for (const source of found) await this.loadOrLeaveOut(source);
    for (const file of this.options.files) {
      const roots = this.options.followLinks ? anyRoots(file) : undefined;
      await this.loadVersion(undefined, { version: '1', file, roots });
    }
    if (this.all.length === 0) {
      const reasons = this.leftOut.map(({ name, version, reason }) => `\n  ${called(name, version)}: ${reason}`);
      throw new UserError(`none of the models can be served:${reasons.join('')}`);
    }
    this.loading = false;
  }

  /** Every model's latest version, in the order they were loaded. */
  get all(): ModelHost[] {
    return [...this.models.values()].flatMap((versions) => this.latest(versions) ?? []);
  }

  /** Files of the versions that answer. */
  get paths(): string[] {
    const versions = [...this.models.values()].flatMap((each) => [...each.values()]);
    return versions.filter(({ host }) => host).map(({ source }) => source.file);
  }

  /** Versions that could not be loaded, and why; a version '' stands for all of a model. */
  get leftOut(): LeftOut[] {
    return [...this.models].flatMap(([name, versions]) =>
      [...versions]
        .filter(([, { isLeftOut }]) => isLeftOut)
        .map(([version, { reason }]) => ({ name, version, reason })),
    );
  }

  /** Why not every model answers; undefined if they do. */
  get notReady(): string | undefined {
    if (this.loading) return 'the model is loading';
    for (const [name, versions] of this.models) {
      for (const [version, { host }] of versions) {
        if (!host || host.isUp) continue;
        const which = this.models.size > 1 || versions.size > 1 ? ` of ${name}, version ${version},` : '';
        return `the inference process${which} is restarting`;
      }
    }
    const [first] = this.options.strictReadiness ? this.leftOut : [];
    return first && `${called(first.name, first.version)} could not be loaded: ${first.reason}`;
  }

  get pending(): number {
    return this.hosts.reduce((sum, host) => sum + host.pending, 0);
  }

  get processesUp(): boolean {
    return this.hosts.some((host) => host.isUp);
  }

  /**
   * @param name     undefined for the only one
   * @param version  undefined for the latest
   * @throws {RequestError} MODEL_NOT_FOUND, MODEL_AMBIGUOUS, MODEL_UNAVAILABLE, NOT_READY
   */
  find(name?: string, version?: string): ModelHost {
    if (name !== undefined) requireModelName(name);
    if (this.loading && !this.models.has(name ?? '')) throw new RequestError('NOT_READY', undefined, 1);
    const model = name ?? this.onlyName();
    const versions = [...this.versionsOf(model)];
    const served = versions.filter(([, { host }]) => host);
    const found = version === undefined ? served.at(-1) : served.find(([text]) => text === version);
    if (found) return found[1].host!;
    const failed = versions.findLast(
      ([text, { isLeftOut }]) => isLeftOut && (version === undefined || text === NO_VERSION || text === version),
    );
    if (failed) {
      const [text, { reason }] = failed;
      throw new RequestError('MODEL_UNAVAILABLE', `${called(model, text)} could not be loaded: ${reason}`);
    }
    const there = served.map(([text]) => `"${text}"`).join(', ');
    const problem = there
      ? `has no version ${JSON.stringify(version)}; there is ${there}`
      : 'has no version that is loaded';
    throw new RequestError('MODEL_NOT_FOUND', `model "${model}" ${problem}`);
  }

  /** Every version that answers, of one model or of all. */
  served(name?: string): ModelHost[] {
    const models = name === undefined ? [...this.models.values()] : [this.versionsOf(name)];
    return models.flatMap((versions) => [...versions.values()].flatMap(({ host }) => host ?? []));
  }

  /** Versions of a model that answer, the lowest first. */
  versions(name: string): string[] {
    return [...this.versionsOf(name)].filter(([, { host }]) => host).map(([version]) => version);
  }

  index(): IndexEntry[] {
    return [...this.models].flatMap(([name, versions]) =>
      [...versions].map(([version, { host, reason }]): IndexEntry => {
        if (!host) return { name, version, state: 'UNAVAILABLE', reason };
        return { name, version, state: host.isUp ? 'READY' : 'LOADING', reason };
      }),
    );
  }

  /**
   * Reads a model from disk again: versions that are new or changed are loaded, those that are gone end. One model at a
   * time.
   * @throws {RequestError} MODEL_NOT_FOUND, or LOAD_FAILED with the reason: what answered before keeps answering
   */
  load(name: string): Promise<void> {
    return this.inTurn(async () => {
      const source = await this.sourceOf(name);
      const known = this.models.get(name);
      for (const version of source.versions) {
        const current = known?.get(version.version);
        if (current && (await isUnchanged(current, version))) continue;
        try {
          await this.loadVersion(name, version);
        } catch (error) {
          const reason = this.failed(name, version, error);
          throw new RequestError('LOAD_FAILED', `${called(name, version.version)}: ${reason}`);
        }
      }
      const wanted = new Set(source.versions.map(({ version }) => version));
      for (const version of [...(this.models.get(name)?.keys() ?? [])]) {
        if (!wanted.has(version)) this.drop(name, version, 'no longer in the repository');
      }
    });
  }

  /**
   * It finishes pending requests, then its processes end.
   * @throws {RequestError} MODEL_NOT_FOUND
   */
  unload(name: string): Promise<void> {
    return this.inTurn(async () => {
      requireModelName(name);
      for (const version of [...this.versionsOf(name).keys()]) this.drop(name, version, 'unloaded');
    });
  }

  /** Answers what is in line everywhere, then ends every process. */
  async drain(): Promise<void> {
    this.ending = true;
    await Promise.all(this.hosts.map((host) => host.drain()));
    this.kill();
  }

  kill(): void {
    this.ending = true;
    for (const host of this.hosts) host.kill();
  }

  private get hosts(): ModelHost[] {
    return [...this.served(), ...this.others];
  }

  private async loadOrLeaveOut({ name = '', versions, fault }: ModelSource): Promise<void> {
    const leaveOut = (source: VersionSource, error: unknown) => {
      if (this.options.strict || this.ending) throw error;
      this.failed(name, source, error);
      this.log(`${called(name, source.version)}: left out: ${firstLine(error)}`, 'error');
    };
    if (fault) leaveOut({ version: NO_VERSION, file: '' }, fault);
    for (const source of versions) {
      await this.loadVersion(name, source).catch((error) => leaveOut(source, error));
    }
  }

  /** Keeps why a version could not be loaded. @returns the reason, fit for clients */
  private failed(name: string, source: VersionSource, error: unknown): string {
    if (!(error instanceof UserError)) this.log(`${name}: ${(error as Error).stack}`, 'error');
    const reason = withoutPaths(firstLine(error), this.folders);
    const kept = this.models.get(name)?.get(source.version);
    this.set(name, { source, signature: '', ...kept, reason, isLeftOut: !kept?.host });
    return reason;
  }

  private async loadVersion(name: string | undefined, source: VersionSource): Promise<void> {
    const { version, file, roots, fault } = source;
    if (fault) throw fault;
    const signature = await versionSignature(source);
    const said = name === undefined ? this.log : labelled(this.log, `${name}/${version}: `);
    const host = new ModelHost({ name, version, file, roots }, this.options, this.metrics, said, this.memory);
    this.others.add(host);
    try {
      if (this.ending) throw new UserError('the server is shutting down');
      const loaded = await host.start();
      this.put(loaded.model.name, { source, signature, host, reason: '' }, name === undefined);
    } finally {
      this.others.delete(host);
    }
  }

  private put(name: string, version: Version, isSingle: boolean): void {
    const before = this.models.get(name)?.get(version.source.version);
    if (this.loading && before) {
      version.host?.kill();
      throw new UserError(
        `${before.source.file} and ${version.source.file} are both named ${name}; put them in one folder as <name>/<version>/model.onnx and give that as ${bothNames('folder', 'models')}`,
      );
    }
    if (isSingle) this.single.set(name, { name, versions: [version.source] });
    this.set(name, version);
    if (before?.host) this.retire(before.host);
  }

  /** Keeps a version among the others of its model. */
  private set(name: string, version: Version): void {
    const versions = new Map(this.models.get(name)).set(version.source.version, version);
    if (version.source.version !== NO_VERSION) versions.delete(NO_VERSION);
    this.models.set(name, new Map([...versions].sort(([a], [b]) => Number(a) - Number(b))));
  }

  private drop(name: string, version: string, reason: string): void {
    const known = this.models.get(name)?.get(version);
    if (!known?.host && !known?.isLeftOut) return;
    if (known.host) this.retire(known.host);
    Object.assign(known, { host: undefined, isLeftOut: false, reason });
    this.metrics.modelUnloaded(name, version);
    this.log(`${name}/${version}: ${reason}`);
  }

  private retire(host: ModelHost): void {
    this.others.add(host);
    void host.drain().then(() => this.others.delete(host));
  }

  private latest(versions: Map<string, Version>): ModelHost | undefined {
    return [...versions.values()].filter(({ host }) => host).at(-1)?.host;
  }

  private versionsOf(name: string): Map<string, Version> {
    const versions = this.models.get(name);
    if (versions) return versions;
    const there = [...this.models.keys()].map((other) => `"${other}"`).join(', ');
    throw new RequestError('MODEL_NOT_FOUND', `no model "${name}" here; there is ${there || 'none'}`);
  }

  private onlyName(): string {
    const names = [...this.models].filter(([, versions]) => this.latest(versions)).map(([name]) => name);
    if (names.length === 1) return names[0];
    if (names.length === 0) throw new RequestError('MODEL_NOT_FOUND', 'no model is loaded');
    throw new RequestError(
      'MODEL_AMBIGUOUS',
      `the server has several models: ${names.join(', ')}; choose one with ?model=`,
    );
  }

  private async sourceOf(name: string): Promise<ModelSource> {
    requireModelName(name);
    const source = this.single.get(name) ?? (this.shelf && (await this.modelOf(this.shelf, name)));
    if (source) return source;
    throw new RequestError('MODEL_NOT_FOUND', `no model "${name}" in the repository`);
  }

  private async modelOf(shelf: Shelf, name: string): Promise<ModelSource | undefined> {
    return findModel(shelf, name).catch((error) => {
      throw new RequestError('LOAD_FAILED', `model "${name}": ${withoutPaths(firstLine(error), this.folders)}`);
    });
  }

  private get shelf(): Shelf | undefined {
    const { folder, versions: policy, followLinks } = this.options;
    return folder === undefined ? undefined : { folder, policy, followLinks };
  }

  /** Clients need not know where they are. */
  private get folders(): string[] {
    const { folder, files } = this.options;
    const given = [...(folder === undefined ? [] : [folder]), ...files.map((file) => dirname(file))];
    return given.flatMap((path) => [path, resolve(path)]);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => undefined);
    return result;
  }
}

/** Neither what it answers from nor what lies with it has changed on disk. */
async function isUnchanged({ host, signature }: Version, source: VersionSource): Promise<boolean> {
  const now = await fileSignature(source.file).catch(() => 'none');
  return host?.signature === now && signature === (await versionSignature(source));
}

function labelled(log: Log, label: string): Log {
  return (line, level, fields) => log(`${label}${line}`, level, fields);
}

function called(name: string, version: string): string {
  return version === NO_VERSION ? `model "${name}"` : `model "${name}", version ${version}`;
}

/** A process that fails by a fault of ours reports its stack. */
function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}
