import { arrayAt, type JsonObject, objectAt, objectsAt, stringAt } from '../../../kinds/json-value.ts';
import {
  type Check,
  containersOf,
  found,
  namesWhere,
  plural,
  quoted,
  security,
  settersText,
  valuesOf,
} from './subject.ts';

const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/';

export const appArmor: Check = ({ spec, metadata }) => {
  const annotations = Object.entries(objectAt(metadata, 'annotations')).filter(
    ([key, value]) => key.startsWith(APPARMOR) && value === 'unconfined',
  );
  const annotated = new Set(annotations.map(([key]) => key.slice(APPARMOR.length)));
  const setters = settersText(
    spec,
    (one) =>
      stringAt(objectAt(security(one), 'appArmorProfile'), 'type') === 'Unconfined' ||
      annotated.has(stringAt(one, 'name')),
  );
  const values = [
    ...(setters ? ['"Unconfined"'] : []),
    ...annotations.map(([key, value]) => `"${key}="${String(value)}""`),
  ];
  if (values.length === 0) return undefined;
  const who = [...(setters ? [setters] : []), ...(annotations.length > 0 ? ['annotation'] : [])].join(
    ' and ',
  );
  return {
    rule: plural(values.length, 'forbidden AppArmor profile', 'forbidden AppArmor profiles'),
    detail: `${who} must not set AppArmor profile type to ${values.join(', ')}`,
  };
};

const CAPABILITIES: ReadonlySet<string> = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(
    ' ',
  ),
);

export const addedCapabilities = (one: JsonObject): string[] =>
  arrayAt(objectAt(security(one), 'capabilities'), 'add').map(String);

export const capabilities: Check = ({ spec }) => {
  const bad = (one: JsonObject): string[] => addedCapabilities(one).filter((cap) => !CAPABILITIES.has(cap));
  return found(
    'non-default capabilities',
    namesWhere(spec, (one) => bad(one).length > 0),
    `must not include ${quoted(valuesOf(spec, bad))} in securityContext.capabilities.add`,
  );
};

export const hostNamespaces: Check = ({ spec }) => {
  const used = ['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => spec[field] === true);
  if (used.length === 0) return undefined;
  return { rule: 'host namespaces', detail: used.map((field) => `${field}=true`).join(', ') };
};

export const hostPath: Check = ({ spec }) => {
  const names = objectsAt(spec, 'volumes')
    .filter((one) => one['hostPath'] !== undefined)
    .map((one) => stringAt(one, 'name'));
  if (names.length === 0) return undefined;
  return {
    rule: 'hostPath volumes',
    detail: `${plural(names.length, 'volume', 'volumes')} ${quoted(names)}`,
  };
};

export const hostPorts: Check = ({ spec }) => {
  const used = (one: JsonObject): string[] =>
    objectsAt(one, 'ports')
      .map((port) => Number(port['hostPort'] ?? 0))
      .filter((port) => port !== 0)
      .map(String);
  const names = namesWhere(spec, (one) => used(one).length > 0);
  const ports = valuesOf(spec, used);
  const text = `${plural(names.length, 'uses', 'use')} ${plural(ports.length, 'hostPort', 'hostPorts')} ${ports.join(', ')}`;
  return found('hostPort', names, text);
};

/** Probes and hooks may not name a host (KEP-4940). */
export const hostProbes: Check = ({ spec }) => {
  const hosts = (one: JsonObject): string[] =>
    [
      ...['livenessProbe', 'readinessProbe', 'startupProbe'].map((field) => objectAt(one, field)),
      ...['postStart', 'preStop'].map((field) => objectAt(objectAt(one, 'lifecycle'), field)),
    ]
      .flatMap((handler) =>
        ['httpGet', 'tcpSocket'].map((action) => stringAt(objectAt(handler, action), 'host')),
      )
      .filter((host) => host !== '');
  const names = namesWhere(spec, (one) => hosts(one).length > 0);
  const used = valuesOf(spec, hosts);
  const what = plural(used.length, 'probe or lifecycle host', 'probe or lifecycle hosts');
  return found(
    'probe or lifecycle host',
    names,
    `${plural(names.length, 'uses', 'use')} ${what} ${quoted(used)}`,
  );
};

export const privileged: Check = ({ spec }) =>
  found(
    'privileged',
    namesWhere(spec, (one) => security(one)['privileged'] === true),
    'must not set securityContext.privileged=true',
  );

export const procMount: Check = ({ spec }) => {
  const bad = (one: JsonObject): string[] =>
    [stringAt(security(one), 'procMount')].filter((type) => type !== '' && type !== 'Default');
  return found(
    'procMount',
    namesWhere(spec, (one) => bad(one).length > 0),
    `must not set securityContext.procMount to ${quoted(valuesOf(spec, bad))}`,
  );
};

const SELINUX_TYPES: readonly string[] = ['', 'container_t', 'container_init_t', 'container_kvm_t'];
/** First minor version that allows it. */
const SELINUX_ENGINE_SINCE = 31;

export const seLinux: Check = ({ spec, minor }) => {
  const options = (one: JsonObject): JsonObject => objectAt(security(one), 'seLinuxOptions');
  const allowed = minor >= SELINUX_ENGINE_SINCE ? [...SELINUX_TYPES, 'container_engine_t'] : SELINUX_TYPES;
  const badTypes = (one: JsonObject): string[] =>
    [stringAt(options(one), 'type')].filter((type) => !allowed.includes(type));
  const sets = (field: string) => (one: JsonObject) => stringAt(options(one), field) !== '';
  const all = [spec, ...containersOf(spec)];
  const types = valuesOf(spec, badTypes);
  const setters = settersText(
    spec,
    (one) => badTypes(one).length > 0 || sets('user')(one) || sets('role')(one),
  );
  if (setters === '') return undefined;
  const faults = [
    ...(types.length > 0 ? [`${plural(types.length, 'type', 'types')} ${quoted(types)}`] : []),
    ...['user', 'role'].filter((field) => all.some(sets(field))).map((field) => `${field} may not be set`),
  ];
  return {
    rule: 'seLinuxOptions',
    detail: `${setters} set forbidden securityContext.seLinuxOptions: ${faults.join('; ')}`,
  };
};

export const profileType = (one: JsonObject): string =>
  stringAt(objectAt(security(one), 'seccompProfile'), 'type');

export const seccomp: Check = ({ spec }) => {
  const setters = settersText(spec, (one) => profileType(one) === 'Unconfined');
  if (setters === '') return undefined;
  const detail = `${setters} must not set securityContext.seccompProfile.type to "Unconfined"`;
  return { rule: 'seccompProfile', detail };
};

const SECCOMP_ANNOTATION =
  /^(?:seccomp\.security\.alpha\.kubernetes\.io\/pod$|container\.seccomp\.security\.alpha\.kubernetes\.io\/)/;

/** Before seccomp had fields. */
export const seccompAnnotations: Check = ({ metadata }) => {
  const bad = Object.entries(objectAt(metadata, 'annotations')).filter(
    ([key, value]) =>
      SECCOMP_ANNOTATION.test(key) &&
      !/^(?:|runtime\/default|docker\/default|localhost\/.*)$/.test(String(value)),
  );
  if (bad.length === 0) return undefined;
  const texts = bad.map(([key, value]) => `${key}=${JSON.stringify(value)}`).sort();
  const head = plural(bad.length, 'forbidden annotation', 'forbidden annotations');
  return { rule: 'seccompProfile', detail: `${head} ${texts.join(', ')}` };
};

/** Names and the first minor version that allows them. */
const SYSCTLS: ReadonlyMap<string, number> = new Map([
  ['kernel.shm_rmid_forced', 0],
  ['net.ipv4.ip_local_port_range', 0],
  ['net.ipv4.ip_unprivileged_port_start', 0],
  ['net.ipv4.tcp_syncookies', 0],
  ['net.ipv4.ping_group_range', 0],
  ['net.ipv4.ip_local_reserved_ports', 27],
  ['net.ipv4.tcp_keepalive_time', 29],
  ['net.ipv4.tcp_fin_timeout', 29],
  ['net.ipv4.tcp_keepalive_intvl', 29],
  ['net.ipv4.tcp_keepalive_probes', 29],
  ['net.ipv4.tcp_rmem', 32],
  ['net.ipv4.tcp_wmem', 32],
]);

export const sysctls: Check = ({ spec, minor }) => {
  const bad = objectsAt(security(spec), 'sysctls')
    .map((one) => stringAt(one, 'name'))
    .filter((name) => minor < (SYSCTLS.get(name) ?? Number.POSITIVE_INFINITY) || !SYSCTLS.has(name));
  return bad.length > 0 ? { rule: 'forbidden sysctls', detail: bad.join(', ') } : undefined;
};

export const hostProcess: Check = ({ spec }) => {
  const setters = settersText(
    spec,
    (one) => objectAt(security(one), 'windowsOptions')['hostProcess'] === true,
  );
  if (setters === '') return undefined;
  return {
    rule: 'hostProcess',
    detail: `${setters} must not set securityContext.windowsOptions.hostProcess=true`,
  };
};
