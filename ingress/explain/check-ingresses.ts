import type { Ingress } from '../../src/api/kinds/ingress.ts';
import type { AnnotationVerdict } from '../annotations/reader.ts';
import { type ClassOptions, classVerdict } from '../compile/classes.ts';
import type { CompiledIngress } from '../compile/compile-ingress.ts';
import type { BackendRef, Target } from '../compile/route.ts';
import type { Snapshot } from '../../endpoints/snapshot.ts';
import { endpointsOf } from '../upstream/cluster.ts';
import type { StillIngress } from './still-ingress.ts';

/** What becomes of one Ingress, or of the controller's ConfigMap, before anybody moves to weft. */
export interface IngressVerdict {
  readonly kind: 'Ingress' | 'ConfigMap';
  readonly namespace: string;
  readonly name: string;
  /** refused: something it asks for is not done. differs: all is done, some of it another way. foreign: not ours. */
  readonly verdict: 'honoured' | 'differs' | 'refused' | 'foreign';
  /** Of a ConfigMap: one verdict a key. */
  readonly annotations: readonly AnnotationVerdict[];
  /** Rules that are not served, and rules that lost to an older Ingress. */
  readonly problems: readonly string[];
  /** What is missing now, and would be answered with an error: services, endpoints, certificates. */
  readonly warnings: readonly string[];
}

/** The verdict on the ConfigMap `namespace/name`; undefined when there is none. */
export function checkConfigMap(still: StillIngress, key: string): IngressVerdict | undefined {
  still.apply();
  const { configuration } = still;
  const found = configuration.objects.configMaps.get(key);
  if (!found) return undefined;
  const annotations = configuration.settingsVerdicts;
  return {
    kind: 'ConfigMap',
    ...named(found),
    verdict: worst(annotations, []),
    annotations,
    problems: [],
    warnings: [],
  };
}

/** One verdict per Ingress, in name order. */
export function checkIngresses(
  still: StillIngress,
  snapshot: Snapshot,
  options: ClassOptions,
): IngressVerdict[] {
  still.apply();
  const { configuration } = still;
  const reports = new Map(
    configuration
      .takeReports()
      .map(([ingress, report]) => [`${ingress.metadata.namespace}/${ingress.metadata.name}`, report]),
  );
  const keys = [...configuration.objects.ingresses.keys()].sort();
  return keys.map((key) => {
    const ingress = configuration.objects.ingresses.get(key)!;
    const report = reports.get(key);
    const compiled = configuration.ingresses.get(key);
    if (!report || !compiled) return foreign(ingress, configuration.objects.classes, options);
    const problems = [...report.problems, ...configuration.conflictsOf(key)];
    return {
      kind: 'Ingress',
      ...named(ingress),
      verdict: worst(report.verdicts, problems),
      annotations: report.verdicts,
      problems,
      warnings: [...missingBackends(compiled, snapshot), ...missingCertificates(compiled, still)],
    };
  });
}

function worst(
  verdicts: readonly AnnotationVerdict[],
  problems: readonly string[],
): IngressVerdict['verdict'] {
  if (problems.length > 0 || verdicts.some(({ verdict }) => verdict === 'refused')) return 'refused';
  return verdicts.some(({ verdict }) => verdict === 'differs') ? 'differs' : 'honoured';
}

function named({ metadata }: Pick<Ingress, 'metadata'>): { namespace: string; name: string } {
  return { namespace: metadata.namespace ?? 'default', name: metadata.name };
}

function foreign(
  ingress: Ingress,
  classes: Parameters<typeof classVerdict>[1],
  options: ClassOptions,
): IngressVerdict {
  const verdict = classVerdict(ingress, classes, options);
  const reason = verdict.ours ? [] : [`not ours: ${verdict.reason}`];
  return {
    kind: 'Ingress',
    ...named(ingress),
    verdict: 'foreign',
    annotations: [],
    problems: [],
    warnings: reason,
  };
}

function missingBackends({ hosts, catchAll, policy }: CompiledIngress, snapshot: Snapshot): string[] {
  const refs = new Map<string, BackendRef>();
  const add = (target: Target | undefined): void => {
    if (target?.kind === 'service') refs.set(target.key, target.backend);
  };
  for (const { paths, fallback } of hosts) {
    for (const { target } of paths) add(target);
    add(fallback);
  }
  add(catchAll);
  const warnings: string[] = [];
  for (const [key, backend] of refs) {
    const service = snapshot.services.get(`${backend.namespace}/${backend.service}`);
    const { reason } = endpointsOf(service, backend, policy.upstream.serviceUpstream);
    if (reason !== undefined) warnings.push(`backend ${key}: ${reason}`);
  }
  return warnings;
}

function missingCertificates({ tls }: CompiledIngress, { configuration }: StillIngress): string[] {
  const secrets = new Set(tls.map(({ secret }) => secret).filter((secret) => secret !== undefined));
  return [...secrets]
    .filter((secret) => !configuration.certificates.get(secret))
    .map((secret) => `certificate ${secret} is missing or unusable: the default one is served`);
}
