import { resolve } from 'node:path';
import {
  expectArgs,
  readDurationMs,
  readInteger,
  readOptions,
  readWord,
  readZones,
  zonesOrBlock,
} from '../../corefile/options.ts';
import type { Line } from '../../corefile/syntax.ts';
import {
  DEFAULT_CLUSTER_OPTIONS,
  isReverseZone,
  MAX_TTL_SECONDS,
  type ClusterOptions,
} from '../../cluster/options.ts';
import { parseSelector, type Selector } from '../../cluster/selector.ts';
import type { ApiAccess } from '../../block-settings.ts';
import type { SetupContext } from '../../plugin.ts';

export interface KubernetesStanza {
  readonly options: ClusterOptions;
  readonly api: ApiAccess;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads a `kubernetes` stanza. Faults go to the context; what could not be read keeps its default. */
export function parseKubernetes(context: SetupContext): KubernetesStanza {
  const { stanza, strict } = context;
  const zones = zonesOrBlock(context, stanza.args);
  const primaryZone = zones.find((zone) => !isReverseZone(zone));
  if (primaryZone === undefined && zones.length > 0) {
    context.fault(stanza.name, 'kubernetes needs at least one zone that is not a reverse zone');
  }
  const options: Mutable<ClusterOptions> = {
    ...DEFAULT_CLUSTER_OPTIONS,
    zones,
    primaryZone: primaryZone ?? '.',
    strict,
  };
  const api: Mutable<ApiAccess> = {
    endpoint: undefined,
    tls: [],
    kubeconfig: undefined,
    kubeconfigContext: undefined,
    queriesPerSecond: undefined,
    burst: undefined,
    maxInflight: undefined,
  };
  readOptions(context, { ...answerReaders(context, options), ...apiReaders(context, api) });
  checkTogether(context, options);
  return { options, api };
}

type Readers = Record<string, (line: Line) => void>;

function answerReaders(context: SetupContext, options: Mutable<ClusterOptions>): Readers {
  const flag = (set: () => void) => (line: Line) => {
    if (expectArgs(context, line, 0, 0)) set();
  };
  return {
    namespaces: (line) => {
      if (!expectArgs(context, line, 1, Infinity)) return;
      options.namespaces = new Set([...(options.namespaces ?? []), ...line.args.map(({ text }) => text)]);
    },
    namespace_labels: (line) => void (options.namespaceLabels = selector(context, line)),
    labels: (line) => void (options.labels = selector(context, line)),
    pods: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      options.pods = readWord(context, line.args[0]!, ['disabled', 'insecure', 'verified']) ?? options.pods;
    },
    endpoint_pod_names: flag(() => (options.endpointPodNames = true)),
    ttl: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      options.ttlSeconds = readInteger(context, line.args[0]!, 0, MAX_TTL_SECONDS) ?? options.ttlSeconds;
    },
    noendpoints: flag(() => (options.noEndpoints = true)),
    fallthrough: (line) => void (options.fallthrough = readZones(context, line.args)),
    ignore: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      options.ignoreEmptyService = readWord(context, line.args[0]!, ['empty_service']) !== undefined;
    },
    multicluster: (line) => {
      options.multiclusterZones = readZones(context, line.args);
    },
    zonal: flag(() => (options.zonal = true)),
    zone_order: flag(() => (options.zoneOrder = true)),
    snapshot: (line) => {
      if (expectArgs(context, line, 1, 1)) options.snapshotFile = resolve(context.root, line.args[0]!.text);
    },
    startup_timeout: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      options.startupTimeoutMs = readDurationMs(context, line.args[0]!) ?? options.startupTimeoutMs;
    },
  };
}

function apiReaders(context: SetupContext, api: Mutable<ApiAccess>): Readers {
  const number = (set: (value: number | undefined) => void) => (line: Line) => {
    if (expectArgs(context, line, 1, 1)) set(readInteger(context, line.args[0]!, 1, 1_000_000));
  };
  return {
    endpoint: (line) => {
      if (expectArgs(context, line, 1, Infinity)) api.endpoint = line.args[0]!.text;
    },
    tls: (line) => {
      if (expectArgs(context, line, 3, 3)) api.tls = line.args.map(({ text }) => text);
    },
    kubeconfig: (line) => {
      if (!expectArgs(context, line, 1, 2)) return;
      api.kubeconfig = line.args[0]!.text;
      api.kubeconfigContext = line.args[1]?.text;
    },
    apiserver_qps: (line) => {
      const [token] = line.args;
      if (!expectArgs(context, line, 1, 1) || !token) return;
      const value = /^\d+(\.\d+)?$/.test(token.text) ? Number(token.text) : 0;
      if (value > 0) api.queriesPerSecond = value;
      else context.fault(token, `"${token.text}" is not a number of questions a second such as 50 or 0.5`);
    },
    apiserver_burst: number((value) => (api.burst = value)),
    apiserver_max_inflight: number((value) => (api.maxInflight = value)),
  };
}

function selector(context: SetupContext, line: Line): Selector | undefined {
  if (!expectArgs(context, line, 1, Infinity)) return undefined;
  const text = line.args.map((token) => token.text).join(' ');
  const parsed = parseSelector(text);
  if (!parsed) context.fault(line.args[0]!, `"${text}" is not a label selector`);
  return parsed;
}

function checkTogether(context: SetupContext, options: ClusterOptions): void {
  const { stanza } = context;
  if (options.namespaces && options.namespaceLabels) {
    context.fault(stanza.name, 'namespaces and namespace_labels exclude each other');
  }
  if (options.zonal && options.noEndpoints) {
    context.fault(stanza.name, 'zonal needs endpoints: it cannot stand beside noendpoints');
  }
  for (const zone of options.multiclusterZones) {
    if (!options.zones.includes(zone)) {
      context.fault(stanza.name, `multicluster zone ${zone} must also be one of the zones of kubernetes`);
    }
  }
}
