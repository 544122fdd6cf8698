import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { serveCommand } from '../../cli/serve.js';
import { ALEXNET } from '../../model/alexnet.js';
import { summarize } from '../../model/summary.js';
import { DEFAULTS } from '../../serve/defaults.js';
import { DRAIN_MS } from '../../serve/serve-until-signal.js';
import { obedient } from '../serve/running.js';
import type { AdapterValues, IInferenceService, IServingRuntime } from './custom-resources.js';
import { documents, read, serving } from './manifests.js';

const { deployment, pod, container, service, autoscaler, budget } = serving();
const [kserve, runtime] = documents('serve/deploy/kserve.yaml') as [IInferenceService, IServingRuntime];
const [monitor] = documents<IServiceMonitor>('serve/deploy/prometheus-operator.yaml');
const [adapter] = documents<AdapterValues>('serve/deploy/prometheus-adapter-values.yaml');
const containers: [string, IContainer][] = [
  ['Deployment', container],
  ['ServingRuntime', runtime.spec.containers[0]],
];
const METRIC = 'nv_inference_pending_request_count';

/** The flag's value. */
const flag = (args: string[], name: string) => args[args.indexOf(name) + 1];
const bytes = (quantity: unknown) => {
  const [, number, unit] = /^(\d+)([MG])i$/.exec(String(quantity))!;
  return Number(number) * 2 ** (unit === 'M' ? 20 : 30);
};

for (const [kind, { args, ports, resources, ...probed }] of containers) {
  test(`${kind}: its flags are the command’s, its port the server’s, and its probes are answered there`, async () => {
    const { url } = await obedient();
    const probes = [probed.startupProbe, probed.readinessProbe, probed.livenessProbe].filter((probe) => probe != null);
    assert.ok(probes.length >= 2);
    for (const { httpGet } of probes) {
      assert.equal((await fetch(url + httpGet!.path)).status, 200, httpGet!.path);
      const [named] = ports!.filter(({ name, containerPort }) =>
        [name, containerPort].includes(httpGet!.port as never),
      );
      assert.equal(named?.containerPort, DEFAULTS.port);
    }
    const command = serveCommand().exitOverride();
    assert.doesNotThrow(() => command.parseOptions(args!));
    assert.deepEqual(command.parseOptions(args!).unknown, []);
    assert.equal(Number(resources!.requests!.cpu), Number(flag(args!, '--threads')));
  });

  test(`${kind}: AlexNet fits in its memory, loaded and read at once`, () => {
    const file = 4 * summarize(ALEXNET, 1000).parameters;
    const request = bytes(resources!.requests!.memory);
    assert.ok(request > 2 * file, `${request} against a file of ${file}`);
    assert.ok(bytes(resources!.limits!.memory) > request);
  });

  test(`${kind}: runs as nobody in particular and writes nowhere but where the model is read`, () => {
    const { securityContext } = probed;
    assert.equal(securityContext!.readOnlyRootFilesystem, true);
    assert.equal(securityContext!.allowPrivilegeEscalation, false);
    assert.deepEqual(securityContext!.capabilities, { drop: ['ALL'] });
    const user = kind === 'Deployment' ? pod.securityContext! : securityContext!;
    assert.deepEqual([user.runAsNonRoot, user.runAsUser], [true, 1000]);
    for (const { readOnly } of probed.volumeMounts ?? []) assert.equal(readOnly, true);
  });
}

test('what is to find the pods selects them', () => {
  const { labels } = deployment.spec!.template.metadata!;
  assert.ok(Object.keys(labels!).length > 0);
  assert.deepEqual(deployment.spec!.selector.matchLabels, labels);
  assert.deepEqual(service.spec!.selector, labels);
  assert.deepEqual(budget.spec!.selector!.matchLabels, labels);
  const mounted = container.volumeMounts!.map(({ name }) => name);
  assert.deepEqual(
    pod.volumes!.map(({ name }) => name),
    mounted,
  );
  assert.equal(container.volumeMounts![0].mountPath, flag(container.args!, '--models'));
});

test('the Service’s port leads to the container’s, and the monitor reads metrics there', async () => {
  const [{ name, targetPort }] = service.spec!.ports!;
  assert.ok(container.ports!.some((port) => port.name === targetPort));
  assert.deepEqual(monitor.spec.selector.matchLabels, service.metadata!.labels);
  const [endpoint] = monitor.spec.endpoints;
  assert.equal(endpoint.port, name);
  const { url } = await obedient();
  assert.match((await fetch(url + endpoint.path)).headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const { annotations } = deployment.spec!.template.metadata!;
  assert.deepEqual(
    [annotations!['prometheus.io/port'], annotations!['prometheus.io/path']],
    [String(DEFAULTS.port), endpoint.path],
  );
});

test('the autoscaler scales the Deployment by a metric that /metrics prints and the adapter hands on', async () => {
  const { scaleTargetRef, metrics, minReplicas } = autoscaler.spec!;
  const { apiVersion, kind, metadata } = deployment;
  assert.deepEqual(scaleTargetRef, { apiVersion, kind, name: metadata!.name });
  assert.ok(minReplicas! > (budget.spec!.minAvailable as number));
  const { metric, target } = metrics!.find(({ type }) => type === 'Pods')!.pods!;
  assert.equal(metric.name, METRIC);
  // More than one at work, less than where the line is full.
  const average = Number(target.averageValue);
  assert.ok(average > 1 && average < 1 + DEFAULTS.maxWaiting, String(average));
  const { url } = await obedient();
  assert.match(await (await fetch(`${url}/metrics`)).text(), new RegExp(`^# TYPE ${metric.name} gauge$`, 'm'));
  const [rule, ...more] = adapter.rules.custom;
  assert.deepEqual(more, []);
  // Without `name` the adapter gives it the series' own.
  assert.equal(rule.name, undefined);
  assert.equal(/^\w+/.exec(rule.seriesQuery)![0], metric.name);
  assert.deepEqual(Object.keys(rule.resources.overrides!).sort(), ['namespace', 'pod']);
});

test('a pod has longer to end than its endpoints take to forget it and the server to answer those in line', () => {
  const [, seconds] = container.lifecycle!.preStop!.exec!.command!;
  assert.ok(pod.terminationGracePeriodSeconds! >= Number(seconds) + DRAIN_MS / 1000 + 5);
  assert.equal(kserve.spec.predictor.timeout, DEFAULTS.timeoutMs / 1000);
});

test('a rollout never has fewer pods than before, and a new pod may take its time to load', () => {
  assert.deepEqual(deployment.spec!.strategy!.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 });
  const { periodSeconds, failureThreshold } = container.startupProbe!;
  assert.ok(periodSeconds! * failureThreshold! >= 60);
});

test('KServe’s predictor asks for a runtime that is there and knows format and protocol', () => {
  const { model } = kserve.spec.predictor;
  assert.equal(model.runtime, runtime.metadata.name);
  assert.ok(runtime.spec.supportedModelFormats!.some(({ name }) => name === model.modelFormat.name));
  assert.ok(runtime.spec.protocolVersions!.some((version) => version === model.protocolVersion));
  assert.equal(runtime.spec.containers[0].name, 'kserve-container');
});

test('the Dockerfile asks what is there', async () => {
  const { url } = await obedient();
  const paths = [...read('Dockerfile').matchAll(/127\.0\.0\.1:8080(\/[\w/]+)/g)].map(([, path]) => path);
  assert.ok(paths.length > 0);
  for (const path of paths) assert.equal((await fetch(url + path)).status, 200, path);
});
