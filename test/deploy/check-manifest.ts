/**
 * Checks manifests against Kubernetes' API without a cluster, as strictly as `kubectl apply` does. Fields by the
 * TypeScript compiler, for which a key that the type has not is an error; formats (quantities, ports, durations) by the
 * validators of kubernetes-models, made from the same OpenAPI and CRD schemas.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type TypeScript from 'typescript';
import type { Manifest } from './manifests.js';

// Not imported by name: it is CommonJS, and only types are needed at compile time.
const ts = createRequire(import.meta.url)('typescript') as typeof TypeScript;
const FOLDER = fileURLToPath(new URL('../../../test/deploy/', import.meta.url));

const CORE = /^(v1|apps\/v1|autoscaling\/v2|policy\/v1)$/;

/** Module and name of the type; undefined for no kind that is known here. */
function typeOf({ apiVersion, kind }: Manifest): { module: string; type: string; isOurs: boolean } {
  if (apiVersion === undefined) return { module: './custom-resources.js', type: 'AdapterValues', isOurs: true };
  const type = `I${kind}`;
  if (CORE.test(apiVersion)) return { module: `kubernetes-models/${apiVersion}/${kind}`, type, isOurs: false };
  if (apiVersion === 'monitoring.coreos.com/v1')
    return { module: `@kubernetes-models/prometheus-operator/${apiVersion}/${kind}`, type, isOurs: false };
  return { module: './custom-resources.js', type, isOurs: true };
}

/** @returns of each manifest what is wrong with it */
export async function faults(manifests: readonly Manifest[]): Promise<string[][]> {
  const types = typeFaults(manifests);
  const formats = await Promise.all(manifests.map(formatFaults));
  return manifests.map((_, i) => [...types[i], ...formats[i]]);
}

function typeFaults(manifests: readonly Manifest[]): string[][] {
  const sources = new Map(
    manifests.map((manifest, i) => {
      const { module, type } = typeOf(manifest);
      const value = JSON.stringify(manifest, null, 1);
      return [
        `${FOLDER}manifest-${i}.ts`,
        `import type { ${type} } from '${module}';\n(${value}) satisfies ${type};\n`,
      ];
    }),
  );
  const options: TypeScript.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (file) => sources.has(file) || fileExists.call(host, file);
  host.readFile = (file) => sources.get(file) ?? readFileSync(file, 'utf8');
  host.getSourceFile = (file, ...rest) => {
    const text = sources.get(file);
    return text === undefined ? getSourceFile.call(host, file, ...rest) : ts.createSourceFile(file, text, rest[0]);
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  return [...sources.keys()].map((file) => {
    const source = program.getSourceFile(file);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  });
}

type Model = new (data: unknown) => { validate(): void };

/** Of a custom resource, that of its pods. */
async function formatFaults(manifest: Manifest): Promise<string[]> {
  const { module, isOurs } = typeOf(manifest);
  try {
    if (!isOurs) {
      const { [manifest.kind]: Kind } = (await import(module)) as Record<string, Model>;
      new Kind(manifest).validate();
    } else {
      const { PodTemplate } = await import('kubernetes-models/v1/PodTemplate');
      for (const spec of podsOf(manifest)) new PodTemplate({ template: { spec } } as never).validate();
    }
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

/** Every object in it that has containers. */
function podsOf(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return 'containers' in value ? [value] : Object.values(value).flatMap(podsOf);
}
