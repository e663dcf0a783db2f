import { COMPONENT_ROLES } from './policy/components.ts';
import { CONTROLLER_ROLES } from './policy/controllers.ts';
import { type BootstrapRole, rolesIn } from './policy/roles.ts';
import { USER_ROLES } from './policy/users.ts';

/** The roles and bindings every cluster has: those of kube-apiserver 1.35, and a few of weft's own. */
export interface BootstrapBinding {
  readonly name: string;
  readonly namespace?: string;
  readonly role: string;
  readonly subjects: readonly {
    readonly kind: 'User' | 'Group' | 'ServiceAccount';
    readonly name: string;
    readonly namespace?: string;
  }[];
}

const aggregateTo = (...roles: string[]): Record<string, string> =>
  Object.fromEntries(roles.map((role) => [`rbac.authorization.k8s.io/aggregate-to-${role}`, 'true']));

/** As metrics-server brings it. */
const METRICS_READER = `
system:aggregated-metrics-reader
  get,list,watch metrics.k8s.io pods,nodes
`;

const CONTROLLERS = rolesIn(CONTROLLER_ROLES);

export const CLUSTER_ROLES: readonly BootstrapRole[] = [
  { name: 'admin', aggregates: [aggregateTo('admin')] },
  { name: 'edit', labels: aggregateTo('admin'), aggregates: [aggregateTo('edit')] },
  { name: 'view', labels: aggregateTo('edit'), aggregates: [aggregateTo('view')] },
  ...rolesIn(USER_ROLES).map((role) => ({
    ...role,
    labels: aggregateTo(role.name.slice('system:aggregate-to-'.length)),
  })),
  ...rolesIn(COMPONENT_ROLES),
  ...rolesIn(METRICS_READER).map((role) => ({ ...role, labels: aggregateTo('view', 'edit', 'admin') })),
  ...CONTROLLERS.map((role) => ({ ...role, name: controllerRole(role.name) })),
];

function controllerRole(name: string): string {
  return `system:controller:${name}`;
}

type Subject = BootstrapBinding['subjects'][number];
const group = (name: string): Subject => ({ kind: 'Group', name });
const user = (name: string): Subject => ({ kind: 'User', name });
const account = (name: string): Subject => ({ kind: 'ServiceAccount', name, namespace: 'kube-system' });
const AUTHENTICATED = group('system:authenticated');

/** A binding of the role's own name. */
const bind = (role: string, ...subjects: Subject[]): BootstrapBinding => ({ name: role, role, subjects });

export const CLUSTER_ROLE_BINDINGS: readonly BootstrapBinding[] = [
  bind('cluster-admin', group('system:masters')),
  bind('system:discovery', AUTHENTICATED),
  bind('system:basic-user', AUTHENTICATED),
  bind('system:public-info-viewer', AUTHENTICATED, group('system:unauthenticated')),
  bind('system:monitoring', group('system:monitoring')),
  bind('system:node'), // to nobody: the Node authorizer judges kubelets
  bind('system:node-proxier', user('system:kube-proxy')),
  bind('system:kube-controller-manager', user('system:kube-controller-manager')),
  bind('system:kube-scheduler', user('system:kube-scheduler')),
  bind('system:volume-scheduler', user('system:kube-scheduler')),
  bind('system:kube-dns', account('kube-dns')),
  bind('system:service-account-issuer-discovery', group('system:serviceaccounts')),
  ...CONTROLLERS.map(({ name }) => bind(controllerRole(name), account(name))),
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

const AUTHENTICATION_READER = 'extension-apiserver-authentication-reader';
const MANAGER_LOCK = 'system::leader-locking-kube-controller-manager';
const SCHEDULER_LOCK = 'system::leader-locking-kube-scheduler';
const BOOTSTRAP_SIGNER = 'system:controller:bootstrap-signer';
const CLOUD_PROVIDER = 'system:controller:cloud-provider';
const TOKEN_CLEANER = 'system:controller:token-cleaner';

const PUBLIC_ROLES = `
${BOOTSTRAP_SIGNER}
  get,list,watch core configmaps
  update core configmaps cluster-info
  create,patch,update core,events.k8s.io events
`;

const SYSTEM_ROLES = `
${AUTHENTICATION_READER}
  get,list,watch core configmaps extension-apiserver-authentication
${MANAGER_LOCK}
  create,get,list,update,watch coordination.k8s.io leases
  create,get,list,update,watch coordination.k8s.io leasecandidates
${SCHEDULER_LOCK}
  create,get,list,update,watch coordination.k8s.io leases
  create,get,list,update,watch coordination.k8s.io leasecandidates
${BOOTSTRAP_SIGNER}
  get,list,watch core secrets
${CLOUD_PROVIDER}
  create,get,list,watch core configmaps
${TOKEN_CLEANER}
  delete,get,list,watch core secrets
  create,patch,update core,events.k8s.io events
`;

export const ROLES: readonly BootstrapRole[] = [
  ...rolesIn(PUBLIC_ROLES).map((role) => ({ ...role, namespace: 'kube-public' })),
  ...rolesIn(SYSTEM_ROLES).map((role) => ({ ...role, namespace: 'kube-system' })),
];

const MANAGER = user('system:kube-controller-manager');
const SCHEDULER = user('system:kube-scheduler');

export const ROLE_BINDINGS: readonly BootstrapBinding[] = [
  { ...bind(BOOTSTRAP_SIGNER, account('bootstrap-signer')), namespace: 'kube-public' },
  ...[
    { ...bind(AUTHENTICATION_READER, MANAGER, SCHEDULER), name: `system::${AUTHENTICATION_READER}` },
    bind(MANAGER_LOCK, MANAGER, account('kube-controller-manager'), account('leader-election-controller')),
    bind(SCHEDULER_LOCK, SCHEDULER, account('kube-scheduler')),
    bind(BOOTSTRAP_SIGNER, account('bootstrap-signer')),
    bind(CLOUD_PROVIDER, account('cloud-provider')),
    bind(TOKEN_CLEANER, account('token-cleaner')),
  ].map((binding) => ({ ...binding, namespace: 'kube-system' })),
];
