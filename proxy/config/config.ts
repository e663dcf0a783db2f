import { isMap, isScalar, LineCounter, parseAllDocuments, type Document } from 'yaml';
import type { DetectLocal } from '../../endpoints/node-view.ts';
import type { ProxyMode } from '../backend.ts';
import { API_VERSION, FIELDS, type FieldPath, type FieldValues, KIND } from './fields.ts';
import { configObject } from './text.ts';
import type { BindAddress, Parsed } from './values.ts';
import type { KernelOptions } from './kernel-options.ts';

/** What kube-proxy's configuration says, as weft acts on it. */
export interface ProxyConfig {
  readonly mode: ProxyMode;
  /** Empty: the host's own name. */
  readonly hostnameOverride: string;
  readonly kubeconfig: string;
  readonly healthz: BindAddress | undefined;
  readonly metrics: BindAddress | undefined;
  readonly bindAddressHardFail: boolean;
  readonly detectLocal: DetectLocal;
  readonly masqueradeAll: boolean;
  readonly localhostNodePorts: boolean;
  readonly nodePortAddresses: readonly string[];
  readonly allowExternalIPs: boolean;
  readonly minSyncMs: number;
  readonly syncPeriodMs: number;
  readonly oomScoreAdj: number;
  readonly kernel: KernelOptions;
  /** All of it as a KubeProxyConfiguration, for /configz. */
  readonly object: Readonly<Record<string, unknown>>;
}

/** Something wrong, where: a dotted path, `--flag`, or `line:column` of the file. */
export interface ConfigFault {
  readonly at: string;
  readonly message: string;
}

export interface ConfigSource {
  /** KubeProxyConfiguration in YAML or JSON. */
  readonly file?: string;
  /** Set flags by field; a file wins over them, as it does for kube-proxy. */
  readonly flags?: ReadonlyMap<FieldPath, string>;
}

export type ConfigOutcome =
  | {
      readonly config: ProxyConfig;
      /** Every field, as given or by default. */
      readonly values: FieldValues;
      readonly notes: readonly ConfigFault[];
    }
  | { readonly faults: readonly ConfigFault[]; readonly notes: readonly ConfigFault[] };

/** Reads and checks everything; all faults come together. `notes` are settings without effect, with the reason. */
export function parseProxyConfig(source: ConfigSource): ConfigOutcome {
  const faults: ConfigFault[] = [];
  const notes: ConfigFault[] = [];
  const values = new Map<FieldPath, unknown>();
  const take = (path: FieldPath, raw: unknown, at: string): void => {
    const { parse, ignored } = FIELDS[path] as { parse: (raw: unknown) => Parsed<unknown>; ignored?: string };
    const parsed = parse(raw);
    if ('fault' in parsed) faults.push({ at, message: parsed.fault });
    else values.set(path, parsed.value);
    if (ignored !== undefined) notes.push({ at, message: `has no effect: ${ignored}` });
  };
  for (const [path, raw] of source.flags ?? []) {
    const at = `--${FIELDS[path].flag}`;
    if (source.file === undefined || FILE_LEAVES_TO_FLAGS.has(path)) {
      take(path, raw, at);
      const twin = TWINS.get(path);
      if (twin && values.has(path)) take(twin, raw, at);
    } else notes.push({ at, message: 'has no effect beside --config' });
  }
  if (source.file !== undefined) readFile(source.file, take, faults, notes);
  const all = withFallbacks(values);
  faults.push(...crossFaults(all));
  return faults.length > 0 ? { faults, notes } : { config: assemble(all), values: all, notes };
}

/** Flags named after iptables that also speak for nftables, which has none of its own. */
const TWINS: ReadonlyMap<FieldPath, FieldPath> = new Map([
  ['iptables.masqueradeAll', 'nftables.masqueradeAll'],
  ['iptables.syncPeriod', 'nftables.syncPeriod'],
  ['iptables.minSyncPeriod', 'nftables.minSyncPeriod'],
]);

/** Flags that kube-proxy heeds even with --config. */
const FILE_LEAVES_TO_FLAGS: ReadonlySet<FieldPath> = new Set(['hostnameOverride', 'logging.verbosity']);

function withFallbacks(values: ReadonlyMap<FieldPath, unknown>): FieldValues {
  const entries = Object.entries(FIELDS).map(([path, { fallback }]) => [
    path,
    values.has(path as FieldPath) ? values.get(path as FieldPath) : fallback,
  ]);
  return Object.fromEntries(entries) as FieldValues;
}

function readFile(
  text: string,
  take: (path: FieldPath, raw: unknown, at: string) => void,
  faults: ConfigFault[],
  notes: ConfigFault[],
): void {
  const lines = new LineCounter();
  const document = onlyDocument(text, lines);
  if (!document) {
    faults.push({ at: '1:1', message: `must hold one ${KIND}, not several documents` });
    return;
  }
  for (const error of document.errors)
    faults.push({ at: place(lines, error.pos[0]), message: error.message });
  if (document.errors.length > 0) return;
  if (!isMap(document.contents)) {
    faults.push({ at: '1:1', message: `must be a ${KIND}` });
    return;
  }
  const root = document.toJS() as Record<string, unknown>;
  if (root['apiVersion'] !== API_VERSION || root['kind'] !== KIND)
    faults.push({ at: '1:1', message: `must say apiVersion: ${API_VERSION} and kind: ${KIND}` });
  const at = (path: readonly string[]): string => `${path.join('.')} (${position(document, lines, path)})`;
  for (const path of leaves(root)) {
    const name = path.join('.');
    if (name === 'apiVersion' || name === 'kind') continue;
    const raw = path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], root);
    if (isUnset(name, raw)) continue;
    if (Object.hasOwn(FIELDS, name)) take(name as FieldPath, raw, at(path));
    else notes.push({ at: at(path), message: 'is no field of KubeProxyConfiguration v1alpha1' });
  }
}

/** Separators may lead and trail, as in files that were cut out of others. */
function onlyDocument(text: string, lineCounter: LineCounter): Document | undefined {
  const documents = parseAllDocuments(text, { version: '1.1', lineCounter, prettyErrors: false });
  const isEmpty = (contents: unknown): boolean =>
    contents === null || (isScalar(contents) && contents.value === null);
  const [first, second] = documents.filter(({ contents, errors }) => errors.length > 0 || !isEmpty(contents));
  return second ? undefined : first;
}

const SECTIONS = new Set(
  Object.keys(FIELDS).flatMap((path) => (path.includes('.') ? [path.split('.')[0]!] : [])),
);

/** Paths of the values; a section that is null has none. */
function leaves(root: Record<string, unknown>): readonly string[][] {
  return Object.entries(root).flatMap(([key, value]) => {
    if (!SECTIONS.has(key)) return [[key]];
    if (value === null) return [];
    if (typeof value !== 'object' || Array.isArray(value)) return [[key]];
    return Object.keys(value).map((inner) => [key, inner]);
  });
}

/** Null, the empty string and a zero period mean the default, as in the files that kubeadm writes. */
function isUnset(name: string, raw: unknown): boolean {
  if (raw === null || raw === '') return true;
  return /SyncPeriod$/i.test(name) && (raw === 0 || (typeof raw === 'string' && /^0[a-zµ]*$/.test(raw)));
}

function place(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${line}:${col}`;
}

function position(document: Document, lines: LineCounter, path: readonly string[]): string {
  const node = document.getIn(path, true) as { range?: readonly number[] } | undefined;
  return place(lines, node?.range?.[0] ?? 0);
}

const MODES = ['iptables', 'ipvs', 'nftables'] as const;

function crossFaults(values: FieldValues): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  for (const mode of MODES) {
    const syncMs = values[`${mode}.syncPeriod`];
    if (syncMs === 0) faults.push({ at: `${mode}.syncPeriod`, message: 'must be more than 0' });
    if (values[`${mode}.minSyncPeriod`] > syncMs)
      faults.push({ at: `${mode}.minSyncPeriod`, message: `must not exceed ${mode}.syncPeriod` });
  }
  const { detectLocalMode, nodePortAddresses } = values;
  if (detectLocalMode === 'BridgeInterface' && values['detectLocal.bridgeInterface'] === '')
    faults.push({
      at: 'detectLocal.bridgeInterface',
      message: 'is required by detectLocalMode BridgeInterface',
    });
  if (detectLocalMode === 'InterfaceNamePrefix' && values['detectLocal.interfaceNamePrefix'] === '')
    faults.push({
      at: 'detectLocal.interfaceNamePrefix',
      message: 'is required by detectLocalMode InterfaceNamePrefix',
    });
  if (nodePortAddresses.includes('primary') && nodePortAddresses.length > 1)
    faults.push({ at: 'nodePortAddresses', message: 'primary must stand alone' });
  if (values.clusterCIDR.length > 2)
    faults.push({ at: 'clusterCIDR', message: 'holds at most one CIDR of each family' });
  return faults;
}

function assemble(values: FieldValues): ProxyConfig {
  const mode = values.mode === '' ? 'iptables' : values.mode;
  const section = mode === 'userspace' ? 'iptables' : mode;
  return {
    mode,
    hostnameOverride: values.hostnameOverride,
    kubeconfig: values['clientConnection.kubeconfig'],
    healthz: values.healthzBindAddress,
    metrics: values.metricsBindAddress,
    bindAddressHardFail: values.bindAddressHardFail,
    detectLocal: detectLocal(values),
    masqueradeAll: mode === 'nftables' ? values['nftables.masqueradeAll'] : values['iptables.masqueradeAll'],
    localhostNodePorts: values['iptables.localhostNodePorts'],
    nodePortAddresses: values.nodePortAddresses,
    allowExternalIPs: values.featureGates['AllowServiceExternalIPs'] === true,
    minSyncMs: mode === 'userspace' ? 0 : values[`${section}.minSyncPeriod`],
    syncPeriodMs: values[`${section}.syncPeriod`],
    oomScoreAdj: values.oomScoreAdj,
    kernel: kernelOptions(values, mode),
    object: configObject({ ...values, mode }),
  };
}

/** ClusterCIDR is the default, and without a CIDR it detects nothing, as upstream. */
function detectLocal(values: FieldValues): DetectLocal {
  switch (values.detectLocalMode) {
    case 'NodeCIDR':
      return { mode: 'NodeCIDR', cidrs: [] };
    case 'BridgeInterface':
      return { mode: 'BridgeInterface', bridge: values['detectLocal.bridgeInterface'] };
    case 'InterfaceNamePrefix':
      return { mode: 'InterfaceNamePrefix', prefix: values['detectLocal.interfaceNamePrefix'] };
    case 'ClusterCIDR':
    case '':
    default:
      return values.clusterCIDR.length > 0
        ? { mode: 'ClusterCIDR', cidrs: values.clusterCIDR }
        : { mode: 'None' };
  }
}

function kernelOptions(values: FieldValues, mode: ProxyMode): KernelOptions {
  return {
    masqueradeBit: mode === 'nftables' ? values['nftables.masqueradeBit'] : values['iptables.masqueradeBit'],
    ipvs: {
      scheduler: values['ipvs.scheduler'] === '' ? 'rr' : values['ipvs.scheduler'],
      excludeCIDRs: values['ipvs.excludeCIDRs'],
      strictARP: values['ipvs.strictARP'],
      tcpTimeoutMs: values['ipvs.tcpTimeout'],
      tcpFinTimeoutMs: values['ipvs.tcpFinTimeout'],
      udpTimeoutMs: values['ipvs.udpTimeout'],
    },
    conntrack: {
      maxPerCore: values['conntrack.maxPerCore'],
      min: values['conntrack.min'],
      tcpEstablishedTimeoutMs: values['conntrack.tcpEstablishedTimeout'],
      tcpCloseWaitTimeoutMs: values['conntrack.tcpCloseWaitTimeout'],
      tcpBeLiberal: values['conntrack.tcpBeLiberal'],
      udpTimeoutMs: values['conntrack.udpTimeout'],
      udpStreamTimeoutMs: values['conntrack.udpStreamTimeout'],
    },
  };
}
