import type { Resource } from './client.ts';

const namespaced =
  (group: string, version: string) =>
  (plural: string, kind: string): Resource => ({ group, version, plural, kind, namespaced: true });
const cluster =
  (group: string, version: string) =>
  (plural: string, kind: string): Resource => ({ group, version, plural, kind, namespaced: false });

const core = namespaced('', 'v1');
const coreCluster = cluster('', 'v1');
const apps = namespaced('apps', 'v1');
const batch = namespaced('batch', 'v1');
const rbac = namespaced('rbac.authorization.k8s.io', 'v1');
const rbacCluster = cluster('rbac.authorization.k8s.io', 'v1');
const networkingCluster = cluster('networking.k8s.io', 'v1');

/** The collections weft itself reads and writes. */
export const resources = {
  namespaces: coreCluster('namespaces', 'Namespace'),
  nodes: coreCluster('nodes', 'Node'),
  persistentVolumes: coreCluster('persistentvolumes', 'PersistentVolume'),
  pods: core('pods', 'Pod'),
  services: core('services', 'Service'),
  endpoints: core('endpoints', 'Endpoints'),
  configMaps: core('configmaps', 'ConfigMap'),
  secrets: core('secrets', 'Secret'),
  serviceAccounts: core('serviceaccounts', 'ServiceAccount'),
  events: core('events', 'Event'),
  replicationControllers: core('replicationcontrollers', 'ReplicationController'),
  resourceQuotas: core('resourcequotas', 'ResourceQuota'),
  limitRanges: core('limitranges', 'LimitRange'),
  persistentVolumeClaims: core('persistentvolumeclaims', 'PersistentVolumeClaim'),
  podTemplates: core('podtemplates', 'PodTemplate'),
  deployments: apps('deployments', 'Deployment'),
  replicaSets: apps('replicasets', 'ReplicaSet'),
  statefulSets: apps('statefulsets', 'StatefulSet'),
  daemonSets: apps('daemonsets', 'DaemonSet'),
  controllerRevisions: apps('controllerrevisions', 'ControllerRevision'),
  jobs: batch('jobs', 'Job'),
  cronJobs: batch('cronjobs', 'CronJob'),
  endpointSlices: namespaced('discovery.k8s.io', 'v1')('endpointslices', 'EndpointSlice'),
  ingresses: namespaced('networking.k8s.io', 'v1')('ingresses', 'Ingress'),
  networkPolicies: namespaced('networking.k8s.io', 'v1')('networkpolicies', 'NetworkPolicy'),
  ingressClasses: networkingCluster('ingressclasses', 'IngressClass'),
  ipAddresses: networkingCluster('ipaddresses', 'IPAddress'),
  serviceCIDRs: networkingCluster('servicecidrs', 'ServiceCIDR'),
  leases: namespaced('coordination.k8s.io', 'v1')('leases', 'Lease'),
  horizontalPodAutoscalers: namespaced('autoscaling', 'v2')(
    'horizontalpodautoscalers',
    'HorizontalPodAutoscaler',
  ),
  podDisruptionBudgets: namespaced('policy', 'v1')('poddisruptionbudgets', 'PodDisruptionBudget'),
  storageClasses: cluster('storage.k8s.io', 'v1')('storageclasses', 'StorageClass'),
  priorityClasses: cluster('scheduling.k8s.io', 'v1')('priorityclasses', 'PriorityClass'),
  runtimeClasses: cluster('node.k8s.io', 'v1')('runtimeclasses', 'RuntimeClass'),
  certificateSigningRequests: cluster('certificates.k8s.io', 'v1')(
    'certificatesigningrequests',
    'CertificateSigningRequest',
  ),
  roles: rbac('roles', 'Role'),
  roleBindings: rbac('rolebindings', 'RoleBinding'),
  clusterRoles: rbacCluster('clusterroles', 'ClusterRole'),
  clusterRoleBindings: rbacCluster('clusterrolebindings', 'ClusterRoleBinding'),
  customResourceDefinitions: cluster('apiextensions.k8s.io', 'v1')(
    'customresourcedefinitions',
    'CustomResourceDefinition',
  ),
} as const satisfies Readonly<Record<string, Resource>>;

const byKind = new Map<string, Resource>(
  Object.values(resources).map((resource) => [kindName(resource), resource]),
);

function kindName(resource: Resource): string {
  const { group, version, kind } = resource;
  return group ? `${group}/${version}/${kind}` : `${version}/${kind}`;
}

/** The built-in collection of a kind, undefined for custom and unknown ones. */
export function resourceOfKind(apiVersion: string, kind: string): Resource | undefined {
  return byKind.get(`${apiVersion}/${kind}`);
}
