/** The manifests as Kubernetes reads them, and their parts for the tests. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import type { IService } from 'kubernetes-models/v1/Service';
import { parseAllDocuments } from 'yaml';

export const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

export interface Manifest {
  apiVersion: string;
  kind: string;
}

/** YAML 1.1, as kubectl reads it: there `on` and `yes` are booleans. @throws for a key that is given twice */
export function documents<T>(file: string): T[] {
  return parseAllDocuments(read(file), { version: '1.1' }).map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], [], file);
    return document.toJS() as T;
  });
}

/** What is in kubernetes.yaml, by kind. */
export function serving() {
  const all = documents<Manifest>('serve/deploy/kubernetes.yaml');
  const only = <T>(kind: string) => {
    const [found, ...more] = all.filter((one) => one.kind === kind);
    assert.ok(found && more.length === 0, `one ${kind}`);
    return found as T;
  };
  const deployment = only<IDeployment>('Deployment');
  const pod = deployment.spec!.template.spec!;
  return {
    deployment,
    pod,
    container: pod.containers[0],
    service: only<IService>('Service'),
    autoscaler: only<IHorizontalPodAutoscaler>('HorizontalPodAutoscaler'),
    budget: only<IPodDisruptionBudget>('PodDisruptionBudget'),
  };
}
