/**
 * Fields of the custom resources for which npm has no package, as their APIs name them: MPIJob v2beta1 of Kubeflow's
 * MPI Operator, KServe's InferenceService v1beta1 and ServingRuntime v1alpha1, prometheus-adapter's rules. What a
 * predictor's other frameworks, loggers and batchers would add is left out; pods are Kubernetes' own.
 */
import type { IObjectMeta } from '@kubernetes-models/apimachinery/apis/meta/v1/ObjectMeta';
import type { IDeploymentStrategy } from 'kubernetes-models/apps/v1/DeploymentStrategy';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import type { IPodTemplateSpec } from 'kubernetes-models/v1/PodTemplateSpec';

type Texts = Record<string, string>;

interface MpiReplica {
  replicas?: number;
  restartPolicy?: 'Always' | 'OnFailure' | 'Never' | 'ExitCode';
  template: IPodTemplateSpec;
}

export interface IMPIJob {
  apiVersion: 'kubeflow.org/v2beta1';
  kind: 'MPIJob';
  metadata: IObjectMeta;
  spec: {
    slotsPerWorker?: number;
    runLauncherAsWorker?: boolean;
    runPolicy?: {
      cleanPodPolicy?: 'None' | 'Running' | 'All';
      ttlSecondsAfterFinished?: number;
      activeDeadlineSeconds?: number;
      backoffLimit?: number;
      schedulingPolicy?: {
        minAvailable?: number;
        queue?: string;
        minResources?: Record<string, string | number>;
        priorityClass?: string;
        scheduleTimeoutSeconds?: number;
      };
      suspend?: boolean;
      managedBy?: string;
    };
    mpiReplicaSpecs: { Launcher: MpiReplica; Worker?: MpiReplica };
    sshAuthMountPath?: string;
    launcherCreationPolicy?: 'AtStartup' | 'WaitForWorkersReady';
    mpiImplementation?: 'OpenMPI' | 'Intel' | 'MPICH';
  };
}

/** A container whose name KServe sets. */
type NamedByKserve = Omit<IContainer, 'name'> & { name?: string };

interface ModelSpec extends NamedByKserve {
  modelFormat: { name: string; version?: string };
  runtime?: string;
  runtimeVersion?: string;
  protocolVersion?: string;
  storageUri?: string;
  storage?: { path?: string; key?: string; parameters?: Texts; schemaPath?: string };
}

interface ComponentExtension {
  minReplicas?: number;
  maxReplicas?: number;
  scaleTarget?: number;
  scaleMetric?: 'cpu' | 'memory' | 'concurrency' | 'rps';
  scaleMetricType?: 'Utilization' | 'AverageValue';
  containerConcurrency?: number;
  timeout?: number;
  canaryTrafficPercent?: number;
  labels?: Texts;
  annotations?: Texts;
  deploymentStrategy?: IDeploymentStrategy;
}

export interface IInferenceService {
  apiVersion: 'serving.kserve.io/v1beta1';
  kind: 'InferenceService';
  metadata: IObjectMeta;
  spec: {
    predictor: { model: ModelSpec } & ComponentExtension & Partial<Omit<IPodSpec, 'ephemeralContainers'>>;
  };
}

export interface IServingRuntime {
  apiVersion: 'serving.kserve.io/v1alpha1';
  kind: 'ServingRuntime';
  metadata: IObjectMeta;
  spec: {
    supportedModelFormats?: { name: string; version?: string; autoSelect?: boolean; priority?: number }[];
    multiModel?: boolean;
    disabled?: boolean;
    protocolVersions?: ('v1' | 'v2' | 'grpc-v1' | 'grpc-v2')[];
    labels?: Texts;
    annotations?: Texts;
    hostIPC?: boolean;
  } & Pick<
    IPodSpec,
    'containers' | 'volumes' | 'nodeSelector' | 'affinity' | 'tolerations' | 'imagePullSecrets' | 'schedulerName'
  >;
}

type Resource = { group?: string; resource: string };

/** Values of the chart prometheus-community/prometheus-adapter. */
export interface AdapterValues {
  prometheus: { url: string; port?: number; path?: string };
  rules: {
    default?: boolean;
    custom: {
      seriesQuery: string;
      seriesFilters?: ({ is: string } | { isNot: string })[];
      resources: { template?: string; overrides?: Record<string, Resource> };
      name?: { matches?: string; as?: string };
      metricsQuery: string;
    }[];
  };
}
