import {
  arrayAt,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../../../kinds/json-value.ts';

/** One broken rule: the rule's name and which containers or fields break it. */
export interface Violation {
  readonly rule: string;
  readonly detail: string;
}

type Check = (spec: JsonObject, metadata: JsonObject) => Violation | undefined;

function containersOf(spec: JsonObject): JsonObject[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((field) => objectsAt(spec, field));
}

const security = (one: JsonObject): JsonObject => objectAt(one, 'securityContext');

function namesWhere(spec: JsonObject, test: (container: JsonObject) => boolean): string[] {
  return containersOf(spec)
    .filter(test)
    .map((one) => JSON.stringify(stringAt(one, 'name')));
}

function containersText(names: readonly string[]): string {
  return `${names.length === 1 ? 'container' : 'containers'} ${names.join(', ')}`;
}

function found(rule: string, names: readonly string[], must: string): Violation | undefined {
  return names.length > 0 ? { rule, detail: `${containersText(names)} ${must}` } : undefined;
}

const hostNamespaces: Check = (spec) => {
  const used = ['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => spec[field] === true);
  if (used.length === 0) return undefined;
  return { rule: 'host namespaces', detail: used.map((field) => `${field}=true`).join(', ') };
};

const privileged: Check = (spec) =>
  found(
    'privileged',
    namesWhere(spec, (one) => security(one)['privileged'] === true),
    'must not set securityContext.privileged=true',
  );

const BASELINE_CAPABILITIES: ReadonlySet<unknown> = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(
    ' ',
  ),
);

const addedCapabilities = (one: JsonObject): unknown[] =>
  arrayAt(objectAt(security(one), 'capabilities'), 'add');

const baselineCapabilities: Check = (spec) => {
  const names = namesWhere(spec, (one) =>
    addedCapabilities(one).some((cap) => !BASELINE_CAPABILITIES.has(cap)),
  );
  const caps = new Set(
    containersOf(spec)
      .flatMap(addedCapabilities)
      .filter((cap) => !BASELINE_CAPABILITIES.has(cap)),
  );
  const text = Array.from(caps, (cap) => JSON.stringify(cap))
    .sort()
    .join(', ');
  return found(
    'non-default capabilities',
    names,
    `must not include ${text} in securityContext.capabilities.add`,
  );
};

const hostPath: Check = (spec) => {
  const names = objectsAt(spec, 'volumes')
    .filter((one) => one['hostPath'] !== undefined)
    .map((one) => JSON.stringify(stringAt(one, 'name')));
  if (names.length === 0) return undefined;
  return {
    rule: 'hostPath volumes',
    detail: `${names.length === 1 ? 'volume' : 'volumes'} ${names.join(', ')}`,
  };
};

const hostPorts: Check = (spec) => {
  const used = (one: JsonObject): number[] =>
    objectsAt(one, 'ports')
      .map((port) => Number(port['hostPort'] ?? 0))
      .filter((port) => port !== 0);
  const names = namesWhere(spec, (one) => used(one).length > 0);
  const ports = [...new Set(containersOf(spec).flatMap(used))].join(', ');
  return found('hostPort', names, `uses ${ports.includes(',') ? 'hostPorts' : 'hostPort'} ${ports}`);
};

const SELINUX_TYPES: ReadonlySet<unknown> = new Set([
  undefined,
  '',
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
]);

const seLinux: Check = (spec) => {
  const bad = [spec, ...containersOf(spec)].filter((one) => {
    const options = objectAt(security(one), 'seLinuxOptions');
    return !SELINUX_TYPES.has(options['type']) || Boolean(options['user']) || Boolean(options['role']);
  });
  return bad.length > 0
    ? { rule: 'seLinuxOptions', detail: 'pod or containers set forbidden securityContext.seLinuxOptions' }
    : undefined;
};

const procMount: Check = (spec) =>
  found(
    'procMount',
    namesWhere(spec, (one) => !['', 'Default'].includes(stringAt(security(one), 'procMount'))),
    'must not set securityContext.procMount to "Unmasked"',
  );

const SAFE_SYSCTLS: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

const sysctls: Check = (spec) => {
  const bad = objectsAt(security(spec), 'sysctls')
    .map((one) => stringAt(one, 'name'))
    .filter((name) => !SAFE_SYSCTLS.has(name));
  return bad.length > 0 ? { rule: 'forbidden sysctls', detail: bad.join(', ') } : undefined;
};

const profileType = (one: JsonObject): string => stringAt(objectAt(security(one), 'seccompProfile'), 'type');

const baselineSeccomp: Check = (spec) => {
  const bad = [spec, ...containersOf(spec)].some((one) => profileType(one) === 'Unconfined');
  return bad
    ? {
        rule: 'seccompProfile',
        detail: 'pod or containers must not set securityContext.seccompProfile.type to "Unconfined"',
      }
    : undefined;
};

const appArmor: Check = (spec, metadata) => {
  const unconfined = [spec, ...containersOf(spec)].some(
    (one) => stringAt(objectAt(security(one), 'appArmorProfile'), 'type') === 'Unconfined',
  );
  const annotated = Object.entries(objectAt(metadata, 'annotations')).some(
    ([key, value]) =>
      key.startsWith('container.apparmor.security.beta.kubernetes.io/') && value === 'unconfined',
  );
  return unconfined || annotated
    ? { rule: 'forbidden AppArmor profile', detail: 'pod or containers must not be unconfined' }
    : undefined;
};

const isWindows = (spec: JsonObject): boolean => stringAt(objectAt(spec, 'os'), 'name') === 'windows';

const hostProcess: Check = (spec) =>
  [spec, ...containersOf(spec)].some(
    (one) => objectAt(security(one), 'windowsOptions')['hostProcess'] === true,
  )
    ? {
        rule: 'hostProcess',
        detail: 'pod or containers must not set securityContext.windowsOptions.hostProcess=true',
      }
    : undefined;

/** Probes and hooks may name a host of their own only from outside the pod (KEP-4940). */
const hostProbes: Check = (spec) => {
  const hosts = (one: JsonObject): boolean =>
    [
      ...['livenessProbe', 'readinessProbe', 'startupProbe'].map((field) => objectAt(one, field)),
      ...['postStart', 'preStop'].map((field) => objectAt(objectAt(one, 'lifecycle'), field)),
    ].some((handler) =>
      ['httpGet', 'tcpSocket'].some((action) => {
        const host = stringAt(objectAt(handler, action), 'host');
        return host !== '' && host !== '127.0.0.1' && host !== '::1' && host !== 'localhost';
      }),
    );
  return found('probeHost', namesWhere(spec, hosts), 'must not set the host of a probe or lifecycle handler');
};

const ALLOWED_VOLUMES: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
  'image',
]);

const restrictedVolumes: Check = (spec) => {
  const bad = objectsAt(spec, 'volumes').flatMap((one) => {
    const source = Object.keys(one).find((key) => key !== 'name' && isObject(one[key]));
    return source && !ALLOWED_VOLUMES.has(source) ? [[stringAt(one, 'name'), source] as const] : [];
  });
  if (bad.length === 0) return undefined;
  const names = bad.map(([name]) => JSON.stringify(name)).join(', ');
  const types = [...new Set(bad.map(([, type]) => JSON.stringify(type)))].join(', ');
  return {
    rule: 'restricted volume types',
    detail: `${bad.length === 1 ? 'volume' : 'volumes'} ${names} ${bad.length === 1 ? 'uses restricted volume type' : 'use restricted volume types'} ${types}`,
  };
};

const escalation: Check = (spec) =>
  isWindows(spec)
    ? undefined
    : found(
        'allowPrivilegeEscalation != false',
        namesWhere(spec, (one) => security(one)['allowPrivilegeEscalation'] !== false),
        'must set securityContext.allowPrivilegeEscalation=false',
      );

const restrictedCapabilities: Check = (spec) => {
  if (isWindows(spec)) return undefined;
  const keeps = namesWhere(
    spec,
    (one) => !arrayAt(objectAt(security(one), 'capabilities'), 'drop').includes('ALL'),
  );
  const adds = namesWhere(spec, (one) => addedCapabilities(one).some((cap) => cap !== 'NET_BIND_SERVICE'));
  const details = [
    ...(keeps.length > 0
      ? [`${containersText(keeps)} must set securityContext.capabilities.drop=["ALL"]`]
      : []),
    ...(adds.length > 0
      ? [
          `${containersText(adds)} must not include anything but "NET_BIND_SERVICE" in securityContext.capabilities.add`,
        ]
      : []),
  ];
  return details.length > 0 ? { rule: 'unrestricted capabilities', detail: details.join('; ') } : undefined;
};

const runAsNonRoot: Check = (spec) => {
  const pod = security(spec)['runAsNonRoot'];
  const bad = namesWhere(spec, (one) => {
    const own = security(one)['runAsNonRoot'];
    return own === false || (own === undefined && pod !== true);
  });
  if (bad.length === 0) return undefined;
  return {
    rule: 'runAsNonRoot != true',
    detail: `pod or ${containersText(bad)} must set securityContext.runAsNonRoot=true`,
  };
};

const runAsUser: Check = (spec) => {
  const pod = security(spec)['runAsUser'] === 0;
  const bad = namesWhere(spec, (one) => security(one)['runAsUser'] === 0);
  if (!pod && bad.length === 0) return undefined;
  const who = [...(pod ? ['pod'] : []), ...(bad.length > 0 ? [containersText(bad)] : [])].join(' and ');
  return { rule: 'runAsUser=0', detail: `${who} must not set runAsUser=0` };
};

const PROFILES: ReadonlySet<string> = new Set(['RuntimeDefault', 'Localhost']);

const restrictedSeccomp: Check = (spec) => {
  if (isWindows(spec)) return undefined;
  const pod = profileType(spec);
  const bad = namesWhere(spec, (one) => !PROFILES.has(profileType(one) || pod));
  if (bad.length === 0) return undefined;
  return {
    rule: 'seccompProfile',
    detail: `pod or ${containersText(bad)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
};

export type Level = 'privileged' | 'baseline' | 'restricted';

const BASELINE: readonly Check[] = [
  hostNamespaces,
  privileged,
  baselineCapabilities,
  hostPath,
  hostPorts,
  appArmor,
  seLinux,
  procMount,
  sysctls,
  hostProcess,
  hostProbes,
];
const CHECKS: Readonly<Record<Level, readonly Check[]>> = {
  privileged: [],
  baseline: [...BASELINE, baselineSeccomp],
  restricted: [
    ...BASELINE.filter((check) => check !== baselineCapabilities && check !== hostPath),
    restrictedVolumes,
    escalation,
    restrictedCapabilities,
    runAsNonRoot,
    runAsUser,
    restrictedSeccomp,
  ],
};

/** Pod Security Standards, newest version: what of a pod (or pod template) the level does not allow. */
export function violations(level: Level, spec: JsonObject, metadata: JsonObject): Violation[] {
  return CHECKS[level].flatMap((check) => check(spec, metadata) ?? []);
}

/** `allowPrivilegeEscalation != false (container "a" must …), …`. */
export function violationText(found: readonly Violation[]): string {
  return found.map(({ rule, detail }) => `${rule} (${detail})`).join(', ');
}
