/** The roles and bindings every cluster has (upstream's bootstrap policy, as far as weft's kinds go). */
interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

export interface BootstrapRole {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly rules?: readonly Rule[];
  /** Labels of the roles this one is the sum of. */
  readonly aggregates?: readonly Readonly<Record<string, string>>[];
}

export interface BootstrapBinding {
  readonly name: string;
  readonly namespace?: string;
  readonly role: string;
  readonly roleKind?: 'Role' | 'ClusterRole';
  readonly subjects: readonly {
    readonly kind: 'User' | 'Group' | 'ServiceAccount';
    readonly name: string;
    readonly namespace?: string;
  }[];
}

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const FULL = [...READ, ...WRITE];
const on = (verbs: readonly string[], group: string, ...resources: string[]): Rule => ({
  verbs,
  apiGroups: [group],
  resources,
});
const aggregateTo = (role: string): Record<string, string> => ({
  [`rbac.authorization.k8s.io/aggregate-to-${role}`]: 'true',
});

const WORKLOADS = [
  'daemonsets',
  'deployments',
  'deployments/rollback',
  'deployments/scale',
  'replicasets',
  'replicasets/scale',
  'statefulsets',
  'statefulsets/scale',
];

const VIEW_RULES: Rule[] = [
  on(
    READ,
    '',
    'configmaps',
    'endpoints',
    'persistentvolumeclaims',
    'persistentvolumeclaims/status',
    'pods',
    'replicationcontrollers',
    'replicationcontrollers/scale',
    'serviceaccounts',
    'services',
    'services/status',
  ),
  on(
    READ,
    '',
    'bindings',
    'events',
    'limitranges',
    'namespaces/status',
    'pods/log',
    'pods/status',
    'replicationcontrollers/status',
    'resourcequotas',
    'resourcequotas/status',
    'namespaces',
  ),
  on(READ, 'discovery.k8s.io', 'endpointslices'),
  on(
    READ,
    'apps',
    'controllerrevisions',
    ...WORKLOADS,
    'daemonsets/status',
    'deployments/status',
    'replicasets/status',
    'statefulsets/status',
  ),
  on(READ, 'autoscaling', 'horizontalpodautoscalers', 'horizontalpodautoscalers/status'),
  on(READ, 'batch', 'cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'),
  on(READ, 'policy', 'poddisruptionbudgets', 'poddisruptionbudgets/status'),
  on(READ, 'networking.k8s.io', 'ingresses', 'ingresses/status', 'networkpolicies'),
];

const EDIT_RULES: Rule[] = [
  on(READ, '', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'),
  on(['impersonate'], '', 'serviceaccounts'),
  on(WRITE, '', 'pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy'),
  on(['create'], '', 'pods/eviction'),
  on(
    WRITE,
    '',
    'configmaps',
    'events',
    'persistentvolumeclaims',
    'replicationcontrollers',
    'replicationcontrollers/scale',
    'secrets',
    'serviceaccounts',
    'services',
    'services/proxy',
  ),
  on(['create'], '', 'serviceaccounts/token'),
  on(WRITE, 'apps', ...WORKLOADS),
  on(WRITE, 'autoscaling', 'horizontalpodautoscalers'),
  on(WRITE, 'batch', 'cronjobs', 'jobs'),
  on(WRITE, 'policy', 'poddisruptionbudgets'),
  on(WRITE, 'networking.k8s.io', 'ingresses', 'networkpolicies'),
  on(FULL, 'coordination.k8s.io', 'leases'),
];

const NODE_RULES: Rule[] = [
  on(['create'], 'authentication.k8s.io', 'tokenreviews'),
  on(['create'], 'authorization.k8s.io', 'localsubjectaccessreviews', 'subjectaccessreviews'),
  on(READ, '', 'services'),
  on(READ, 'discovery.k8s.io', 'endpointslices'),
  on(['create', 'get', 'list', 'watch'], '', 'nodes'),
  on(['patch', 'update'], '', 'nodes/status', 'nodes'),
  on(['create', 'patch', 'update'], '', 'events'),
  on(['create', 'patch', 'update'], 'events.k8s.io', 'events'),
  on(READ, '', 'pods'),
  on(['create', 'delete'], '', 'pods'),
  on(['patch', 'update'], '', 'pods/status'),
  on(['create'], '', 'pods/eviction'),
  on(['create', 'get', 'list', 'watch'], 'certificates.k8s.io', 'certificatesigningrequests'),
  on(READ, 'node.k8s.io', 'runtimeclasses'),
];

const CONTROL_PLANE_RULES: Rule[] = [
  on(['create', 'patch', 'update'], '', 'events'),
  on(['create', 'patch', 'update'], 'events.k8s.io', 'events'),
  on(['create', 'get', 'list', 'update', 'watch'], 'coordination.k8s.io', 'leases'),
  on(['create'], 'authentication.k8s.io', 'tokenreviews'),
  on(['create'], 'authorization.k8s.io', 'subjectaccessreviews'),
];

export const CLUSTER_ROLES: readonly BootstrapRole[] = [
  { name: 'cluster-admin', rules: [on(['*'], '*', '*'), { verbs: ['*'], nonResourceURLs: ['*'] }] },
  { name: 'admin', aggregates: [aggregateTo('admin')] },
  { name: 'edit', labels: aggregateTo('admin'), aggregates: [aggregateTo('edit')] },
  { name: 'view', labels: aggregateTo('edit'), aggregates: [aggregateTo('view')] },
  {
    name: 'system:aggregate-to-admin',
    labels: aggregateTo('admin'),
    rules: [
      on(['create'], 'authorization.k8s.io', 'localsubjectaccessreviews'),
      on(FULL, 'rbac.authorization.k8s.io', 'rolebindings', 'roles'),
    ],
  },
  { name: 'system:aggregate-to-edit', labels: aggregateTo('edit'), rules: EDIT_RULES },
  { name: 'system:aggregate-to-view', labels: aggregateTo('view'), rules: VIEW_RULES },
  {
    name: 'system:aggregated-metrics-reader',
    labels: { ...aggregateTo('view'), ...aggregateTo('edit'), ...aggregateTo('admin') },
    rules: [on(READ, 'metrics.k8s.io', 'pods', 'nodes')],
  },
  {
    name: 'system:discovery',
    rules: [
      {
        verbs: ['get'],
        nonResourceURLs: [
          '/api',
          '/api/*',
          '/apis',
          '/apis/*',
          '/healthz',
          '/livez',
          '/openapi',
          '/openapi/*',
          '/readyz',
          '/version',
          '/version/',
        ],
      },
    ],
  },
  {
    name: 'system:public-info-viewer',
    rules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/livez', '/readyz', '/version', '/version/'] }],
  },
  {
    name: 'system:basic-user',
    rules: [
      on(['create'], 'authorization.k8s.io', 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'),
      on(['create'], 'authentication.k8s.io', 'selfsubjectreviews'),
    ],
  },
  {
    name: 'system:monitoring',
    rules: [
      {
        verbs: ['get'],
        nonResourceURLs: ['/healthz', '/healthz/*', '/livez', '/livez/*', '/metrics', '/readyz', '/readyz/*'],
      },
    ],
  },
  {
    name: 'system:service-account-issuer-discovery',
    rules: [
      {
        verbs: ['get'],
        nonResourceURLs: [
          '/.well-known/openid-configuration',
          '/.well-known/openid-configuration/',
          '/openid/v1/jwks',
          '/openid/v1/jwks/',
        ],
      },
    ],
  },
  {
    name: 'system:auth-delegator',
    rules: [
      on(['create'], 'authentication.k8s.io', 'tokenreviews'),
      on(['create'], 'authorization.k8s.io', 'subjectaccessreviews'),
    ],
  },
  { name: 'system:node', rules: NODE_RULES },
  {
    name: 'system:node-proxier',
    rules: [
      on(['list', 'watch'], '', 'services'),
      on(READ, '', 'nodes'),
      on(['create', 'patch', 'update'], '', 'events'),
      on(['create', 'patch', 'update'], 'events.k8s.io', 'events'),
      on(['list', 'watch'], 'discovery.k8s.io', 'endpointslices'),
      on(['list', 'watch'], 'networking.k8s.io', 'servicecidrs'),
    ],
  },
  {
    name: 'system:node-bootstrapper',
    rules: [on(['create', 'get', 'list', 'watch'], 'certificates.k8s.io', 'certificatesigningrequests')],
  },
  {
    name: 'system:kube-dns',
    rules: [
      on(['list', 'watch'], '', 'endpoints', 'services', 'pods', 'namespaces'),
      on(['list', 'watch'], 'discovery.k8s.io', 'endpointslices'),
    ],
  },
  {
    name: 'system:kube-controller-manager',
    rules: [
      ...CONTROL_PLANE_RULES,
      on(['list', 'watch'], '*', '*'),
      on(['create'], '', 'serviceaccounts/token'),
      on(['create', 'get', 'update', 'delete'], '', 'secrets', 'serviceaccounts', 'namespaces', 'endpoints'),
      on(['update'], '', 'namespaces/finalize'),
    ],
  },
  {
    name: 'system:kube-scheduler',
    rules: [
      ...CONTROL_PLANE_RULES,
      on(
        READ,
        '',
        'nodes',
        'pods',
        'persistentvolumeclaims',
        'persistentvolumes',
        'replicationcontrollers',
        'services',
        'namespaces',
      ),
      on(['delete'], '', 'pods'),
      on(['create'], '', 'bindings', 'pods/binding'),
      on(['patch', 'update'], '', 'pods/status'),
      on(READ, 'apps', 'replicasets', 'statefulsets'),
      on(READ, 'policy', 'poddisruptionbudgets'),
      on(READ, 'storage.k8s.io', 'storageclasses'),
    ],
  },
  ...['kube-apiserver-client', 'kube-apiserver-client-kubelet', 'kubelet-serving'].map((signer) => ({
    name: `system:certificates.k8s.io:${signer}-approver`,
    rules: [
      {
        ...on(['approve'], 'certificates.k8s.io', 'signers'),
        resourceNames: [`kubernetes.io/${signer}`],
      },
    ],
  })),
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    rules: [on(['create'], 'certificates.k8s.io', 'certificatesigningrequests/nodeclient')],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    rules: [on(['create'], 'certificates.k8s.io', 'certificatesigningrequests/selfnodeclient')],
  },
];

const group = (name: string) => ({ kind: 'Group', name }) as const;
const user = (name: string) => ({ kind: 'User', name }) as const;
const AUTHENTICATED = group('system:authenticated');

export const CLUSTER_ROLE_BINDINGS: readonly BootstrapBinding[] = [
  { name: 'cluster-admin', role: 'cluster-admin', subjects: [group('system:masters')] },
  { name: 'system:discovery', role: 'system:discovery', subjects: [AUTHENTICATED] },
  { name: 'system:basic-user', role: 'system:basic-user', subjects: [AUTHENTICATED] },
  {
    name: 'system:public-info-viewer',
    role: 'system:public-info-viewer',
    subjects: [AUTHENTICATED, group('system:unauthenticated')],
  },
  { name: 'system:monitoring', role: 'system:monitoring', subjects: [group('system:monitoring')] },
  { name: 'system:node-proxier', role: 'system:node-proxier', subjects: [user('system:kube-proxy')] },
  {
    name: 'system:kube-controller-manager',
    role: 'system:kube-controller-manager',
    subjects: [user('system:kube-controller-manager')],
  },
  { name: 'system:kube-scheduler', role: 'system:kube-scheduler', subjects: [user('system:kube-scheduler')] },
  {
    name: 'system:kube-dns',
    role: 'system:kube-dns',
    subjects: [{ kind: 'ServiceAccount', name: 'kube-dns', namespace: 'kube-system' }],
  },
  {
    name: 'system:service-account-issuer-discovery',
    role: 'system:service-account-issuer-discovery',
    subjects: [group('system:serviceaccounts')],
  },
  {
    name: 'weft:node-bootstrapper',
    role: 'system:node-bootstrapper',
    subjects: [group('system:bootstrappers')],
  },
  {
    name: 'weft:node-autoapprove-bootstrap',
    role: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    subjects: [group('system:bootstrappers')],
  },
  {
    name: 'weft:node-autoapprove-rotation',
    role: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    subjects: [group('system:nodes')],
  },
];

export const ROLES: readonly BootstrapRole[] = [
  {
    name: 'extension-apiserver-authentication-reader',
    namespace: 'kube-system',
    rules: [{ ...on(READ, '', 'configmaps'), resourceNames: ['extension-apiserver-authentication'] }],
  },
];

export const ROLE_BINDINGS: readonly BootstrapBinding[] = [
  {
    name: 'system::extension-apiserver-authentication-reader',
    namespace: 'kube-system',
    roleKind: 'Role',
    role: 'extension-apiserver-authentication-reader',
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  },
];
