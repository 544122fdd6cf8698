import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults } from './check-manifest.js';
import { documents, type Manifest } from './manifests.js';

const FILES = [
  'serve/deploy/kubernetes.yaml',
  'serve/deploy/kserve.yaml',
  'serve/deploy/prometheus-operator.yaml',
  'serve/deploy/prometheus-adapter-values.yaml',
  'train/deploy/mpijob.yaml',
];
const all = FILES.flatMap((file) => documents<Manifest>(file));

/** Mistakes by kind: path to an object, key, and its wrong value, or undefined to take it away. */
const MISTAKES: [kind: string | undefined, path: string, key: string, value: unknown, fault: RegExp][] = [
  ['Deployment', 'spec', 'replica', 3, /'"replica"' does not exist/],
  ['Deployment', 'spec', 'selector', undefined, /'"selector"' is missing/],
  ['Deployment', 'spec.template.spec', 'terminationGracePeriodSecond', 45, /does not exist/],
  ['Deployment', 'spec.template.spec.containers.0.readinessProbe', 'periodSecond', 2, /does not exist/],
  ['Deployment', 'spec.template.spec.containers.0.readinessProbe.httpGet', 'port', undefined, /'"port"' is missing/],
  ['Deployment', 'spec.template.spec.containers.0.resources.requests', 'memory', '700Mb', /format "quantity"/],
  ['Deployment', 'spec.template.spec.containers.0.ports.0', 'containerPort', '8080', /not assignable/],
  ['Deployment', 'spec.template.spec.containers.0.securityContext', 'readOnlyRootFileSystem', true, /does not exist/],
  ['Deployment', '', 'apiVersion', 'apps/v1beta1', /has no exported member 'IDeployment'/],
  ['Service', 'spec.ports.0', 'port', 80.5, /must be integer/],
  ['HorizontalPodAutoscaler', 'spec.metrics.0.pods.metric', 'name', undefined, /'"name"' is missing/],
  ['HorizontalPodAutoscaler', 'spec.metrics.0.pods.target', 'averageValues', '3', /does not exist/],
  ['HorizontalPodAutoscaler', 'spec', 'maxReplicas', '10', /not assignable/],
  ['PodDisruptionBudget', 'spec', 'minAvailability', 1, /does not exist/],
  ['ServiceMonitor', 'spec.endpoints.0', 'interval', '15 s', /must match pattern/],
  ['ServiceMonitor', 'spec.endpoints.0', 'scrapeTimeOut', '5s', /does not exist/],
  ['InferenceService', 'spec.predictor', 'minReplica', 1, /does not exist/],
  ['InferenceService', 'spec.predictor.model', 'modelFormat', undefined, /'modelFormat' is missing/],
  ['InferenceService', 'spec.predictor', 'scaleMetric', 'queue', /not assignable/],
  ['ServingRuntime', 'spec', 'protocolVersion', ['v2'], /does not exist/],
  ['ServingRuntime', 'spec.containers.0.resources.limits', 'memory', '1 Gi', /format "quantity"/],
  ['MPIJob', 'spec', 'slotPerWorker', 1, /does not exist/],
  ['MPIJob', 'spec.runPolicy', 'cleanPodPolicy', 'Never', /not assignable/],
  ['MPIJob', 'spec.mpiReplicaSpecs', 'Workers', {}, /does not exist/],
  ['MPIJob', 'spec.mpiReplicaSpecs.Worker.template.spec', 'volume', [], /does not exist/],
  [undefined, 'rules.custom.0', 'metricQuery', 'x', /does not exist/],
];

function mistaken(kind: string | undefined, path: string, key: string, value: unknown): Manifest {
  const manifest = structuredClone(all.find((one) => one.kind === kind))!;
  type Place = Record<string, unknown>;
  const parts = path === '' ? [] : path.split('.');
  const place = parts.reduce((at, part) => at[part] as Place, manifest as unknown as Place);
  if (value === undefined) assert.ok(delete place[key]);
  else place[key] = value;
  return manifest;
}

test('every manifest is of Kubernetes’ API, and one with a mistake is refused for it', async () => {
  const wrong = MISTAKES.map(([kind, path, key, value]) => mistaken(kind, path, key, value));
  const found = await faults([...all, ...wrong]);
  for (const [i, { kind }] of all.entries()) assert.deepEqual(found[i], [], kind);
  for (const [i, [kind, path, key, , fault]] of MISTAKES.entries())
    assert.match(found[all.length + i].join('\n'), fault, `${kind} ${path}.${key}`);
});
