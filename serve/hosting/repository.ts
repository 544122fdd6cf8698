/**
 * All models of a server, by name and version. A version that is loaded anew answers from its old process until the new one has run once;
 * one that fails to load leaves things as they were.
 */
import { UserError } from '../../model/errors.js';
import { RequestError } from '../errors.js';
import { fileSignature } from '../file-signature.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics.js';
import {
  findModel,
  findModels,
  type ModelSource,
  requireModelName,
  type VersionPolicy,
  type VersionSource,
  versionSignature,
} from './find-models.js';
import { type HostOptions, ModelHost } from './model-host.js';

export interface RepositoryOptions extends HostOptions {
  /** Paths of single `.onnx` files. */
  files: readonly string[];
  /** Folder with `<name>/<version>/model.onnx`. */
  folder?: string;
  versions: VersionPolicy;
}

/** A version as the protocol's index lists it. */
export interface IndexEntry {
  name: string;
  version: string;
  state: 'READY' | 'UNAVAILABLE' | 'LOADING';
  reason: string;
}

interface Version {
  source: VersionSource;
  signature: string;
  host?: ModelHost;
  /** Why it does not answer, or why a newer file of it does not. */
  reason: string;
}

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

  constructor(
    private readonly options: RepositoryOptions,
    private readonly metrics: Metrics,
    private readonly log: Log,
  ) {}

  /**
   * Loads every model.
   * @throws {UserError} when there is none, two have one name, or one cannot be loaded
   */
  async start(): Promise<void> {
    const { files, folder, versions } = this.options;
    const found = folder === undefined ? [] : await findModels(folder, versions, this.log);
    const single = files.map((file): ModelSource => ({ versions: [{ version: '1', file }] }));
    for (const source of [...found, ...single]) {
      for (const version of source.versions) await this.loadVersion(source.name, version);
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

  /** Why not every model answers; undefined where they do. */
  get notReady(): string | undefined {
    if (this.loading) return 'the model is loading';
    for (const [name, versions] of this.models) {
      for (const [version, { host }] of versions) {
        if (!host || host.isUp) continue;
        const which = this.models.size > 1 || versions.size > 1 ? ` of ${name}, version ${version},` : '';
        return `the inference process${which} is restarting`;
      }
    }
    return undefined;
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
   * @throws {RequestError} MODEL_NOT_FOUND, MODEL_AMBIGUOUS, NOT_READY
   */
  find(name?: string, version?: string): ModelHost {
    if (name !== undefined) requireModelName(name);
    if (this.loading && !this.models.has(name ?? '')) throw new RequestError('NOT_READY', undefined, 1);
    const versions = this.versionsOf(name ?? this.onlyName());
    const served = [...versions].filter(([, { host }]) => host);
    if (served.length === 0) {
      throw new RequestError('MODEL_NOT_FOUND', `model "${name}" has no version that is loaded`);
    }
    if (version === undefined) return served.at(-1)![1].host!;
    const found = served.find(([text]) => text === version);
    if (found) return found[1].host!;
    const there = served.map(([text]) => `"${text}"`).join(', ');
    throw new RequestError(
      'MODEL_NOT_FOUND',
      `model "${name}" has no version ${JSON.stringify(version)}; there is ${there}`,
    );
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
   * Reads a model from disk again: versions that are new or changed are loaded, those that are gone end. One model at a time.
   * @throws {RequestError} MODEL_NOT_FOUND, or LOAD_FAILED with the reason: what answered before goes on
   */
  load(name: string): Promise<void> {
    return this.inTurn(async () => {
      const source = await this.sourceOf(name);
      const known = this.models.get(name);
      for (const version of source.versions) {
        const current = known?.get(version.version);
        if (current?.host && current.signature === (await versionSignature(version))) continue;
        try {
          await this.loadVersion(name, version);
        } catch (error) {
          if (!(error instanceof UserError)) this.log(`${name}: ${(error as Error).stack}`, 'error');
          const reason = this.withoutFolder((error as Error).message);
          const kept = this.models.get(name)?.get(version.version);
          if (kept) kept.reason = reason;
          throw new RequestError('LOAD_FAILED', `model "${name}", version ${version.version}: ${reason}`);
        }
      }
      const wanted = new Set(source.versions.map(({ version }) => version));
      for (const version of [...(this.models.get(name)?.keys() ?? [])]) {
        if (!wanted.has(version)) this.drop(name, version, 'no longer in the repository');
      }
    });
  }

  /**
   * Its requests are answered yet, then its processes end.
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
    const current = [...this.models.values()].flatMap((versions) =>
      [...versions.values()].flatMap(({ host }) => host ?? []),
    );
    return [...current, ...this.others];
  }

  private async loadVersion(name: string | undefined, source: VersionSource): Promise<void> {
    const { version, file } = source;
    const signature = await versionSignature(source);
    const said = name === undefined ? this.log : labelled(this.log, `${name}/${version}: `);
    const fileBefore = await fileSignature(file).catch(() => undefined);
    const host = new ModelHost({ name, version, file, signature: fileBefore }, this.options, this.metrics, said);
    this.others.add(host);
    try {
      if (this.ending) throw new UserError('the server is shutting down');
      const { model } = await host.start();
      this.put(model.name, { source, signature, host, reason: '' }, name === undefined);
    } finally {
      this.others.delete(host);
    }
  }

  private put(name: string, version: Version, isSingle: boolean): void {
    const versions = this.models.get(name) ?? new Map<string, Version>();
    const before = versions.get(version.source.version);
    if (this.loading && before) {
      version.host?.kill();
      throw new UserError(
        `${before.source.file} and ${version.source.file} are both named ${name}; put them in one folder as <name>/<version>/model.onnx and give it with --models`,
      );
    }
    if (isSingle) this.single.set(name, { name, versions: [version.source] });
    versions.set(version.source.version, version);
    const sorted = [...versions].sort(([a], [b]) => Number(a) - Number(b));
    this.models.set(name, new Map(sorted));
    if (before?.host) this.retire(before.host);
  }

  private drop(name: string, version: string, reason: string): void {
    const known = this.models.get(name)?.get(version);
    if (!known?.host) return;
    this.retire(known.host);
    known.host = undefined;
    known.reason = reason;
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
    throw new RequestError('MODEL_AMBIGUOUS', `several models are here: ${names.join(', ')}; choose one with ?model=`);
  }

  private async sourceOf(name: string): Promise<ModelSource> {
    requireModelName(name);
    const { folder, versions } = this.options;
    const source =
      this.single.get(name) ?? (folder === undefined ? undefined : await findModel(folder, name, versions));
    if (source) return source;
    throw new RequestError('MODEL_NOT_FOUND', `no model "${name}" in the repository`);
  }

  /** Clients need not know where on this machine the files are. */
  private withoutFolder(message: string): string {
    const { folder, files } = this.options;
    const roots = [
      ...(folder === undefined ? [] : [folder]),
      ...files.map((file) => file.slice(0, file.lastIndexOf('/'))),
    ];
    return roots.filter((root) => root !== '').reduce((text, root) => text.replaceAll(`${root}/`, ''), message);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work);
    this.turn = result.catch(() => undefined);
    return result;
  }
}

function labelled(log: Log, label: string): Log {
  return (line, level, fields) => log(`${label}${line}`, level, fields);
}
