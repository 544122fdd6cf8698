/**
 * Runs the specs of one package of tensorflow/tfjs (layers, converter, data) from a checkout's sources against one
 * backend, and sends a report to its parent: `package-suite-child.js CHECKOUT PACKAGE BACKEND`.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, sep } from 'node:path';
import ts from 'typescript';

const [checkout, name, backend] = process.argv.slice(2);
const sources = join(checkout, `tfjs-${name}`, 'src');
const require = createRequire(import.meta.url);
const core = join(dirname(require.resolve('@tensorflow/tfjs-core/package.json')), 'dist');
/** Lists of operators that the checkout makes only in its build. */
const operators = join(dirname(require.resolve('@tensorflow/tfjs-converter/package.json')), 'dist/operations/op_list');
const cache = join(tmpdir(), `alexnet-tfjs-sources-${process.getuid?.() ?? ''}`);

/** Node's internals that a loader of other languages replaces. */
const loader = Module as unknown as {
  _extensions: Record<string, (module: { _compile(text: string, file: string): void }, file: string) => void>;
  _resolveFilename(request: string, ...rest: unknown[]): string;
};

/** As CommonJS of ES5: tfjs's bundles are ES5, whose classes cannot extend native ones. Kept by contents. */
function transpiled(file: string): string {
  const text = readFileSync(file, 'utf8').replace(/\n\/\/# sourceMappingURL=.*/, '');
  const kept = join(cache, createHash('sha1').update(text).digest('hex'));
  if (existsSync(kept)) return readFileSync(kept, 'utf8');
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES5,
      downlevelIteration: true,
      esModuleInterop: false,
      experimentalDecorators: true,
    },
  });
  writeFileSync(kept, outputText);
  return outputText;
}

/** Every module shares one copy of tfjs-core, and so do the specs and the backend. */
function installLoader(): void {
  mkdirSync(cache, { recursive: true });
  const resolve = loader._resolveFilename;
  loader._resolveFilename = (request, ...rest) => {
    if (request === '@tensorflow/tfjs-core') return join(core, 'index.js');
    if (request.includes('/op_list/')) return join(operators, `${basename(request)}.js`);
    if (request.startsWith('@tensorflow/tfjs-core/dist/')) return join(core, `${request.slice(27)}.js`);
    if (/^(@tensorflow\/|seedrandom$)/.test(request))
      return resolve(request, rest[0], false, { paths: [dirname(core)] });
    return resolve(request, ...rest);
  };
  const load = loader._extensions['.js'];
  const compile: typeof load = (module, file) => module._compile(transpiled(file), file);
  loader._extensions['.ts'] = compile;
  loader._extensions['.js'] = (module, file) => (isModule(file) ? compile : load)(module, file);
}

const isModule = (file: string) =>
  file.startsWith(operators) || (file.startsWith(core + sep) && !/tf-core\.[\w.]*js$/.test(file));

installLoader();
const jasmine = require('jasmine-core');
const run = jasmine.boot(jasmine);
run.DEFAULT_TIMEOUT_INTERVAL = 60_000;
const coreModule = (file: string) => require(join(core, file));
coreModule('register_all_gradients.js');
coreModule('public/chained_ops/register_all_chained_ops.js');
const tf = coreModule('index.js');
// Many specs are for the backend of this name alone.
coreModule('jasmine_util.js').setTestEnvs([{ name: 'node', backendName: 'cpu', isDataSync: true }]);
require('@tensorflow/tfjs-backend-cpu');
if (backend === 'onnxruntime') await import('../../onnx/backend/index.js');
const engine = tf.engine();
const { setBackend } = engine;
engine.setBackend = (asked: string) => setBackend.call(engine, asked === 'cpu' ? backend : asked);
await tf.setBackend('cpu');
if (tf.getBackend() !== backend) throw new Error(`expected backend ${backend}, got ${tf.getBackend()}`);
tf.env().set('IS_TEST', true);

const failures: { name: string; message: string }[] = [];
const files = readdirSync(sources, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('_test.ts'));
for (const file of files.sort()) {
  try {
    require(join(sources, file));
  } catch (error) {
    failures.push({ name: `load ${file}`, message: `${(error as Error).stack}`.slice(0, 600) });
  }
}
let passed = 0;
const environment = run.getEnv();
environment.configure({ random: false });
interface Result {
  fullName: string;
  status: string;
  failedExpectations: { message: string }[];
}
const failed = ({ fullName, failedExpectations: [first] }: Result) =>
  failures.push({ name: fullName, message: first.message.slice(0, 600) });
environment.addReporter({
  specDone: (result: Result) => {
    if (result.status === 'passed') passed += 1;
    if (result.status === 'failed') failed(result);
  },
  suiteDone: (result: Result) => result.failedExpectations.length > 0 && failed(result),
});
await environment.execute();
process.send!({ passed, failures }, () => process.exit(0));
