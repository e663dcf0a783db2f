import type { Ingress } from '../../src/api/kinds/ingress.ts';
import type { WantedCertificate } from './renewals.ts';

/** The annotation that charts set for automatic certificates (kube-lego, cert-manager's ingress-shim). */
const TLS_ACME_ANNOTATION = 'kubernetes.io/tls-acme';

export function asksForCertificate({ metadata }: Ingress): boolean {
  return metadata.annotations?.[TLS_ACME_ANNOTATION] === 'true';
}

/** The certificates these Ingresses ask for: one for each Secret, with all names asked of it. */
export function wantedCertificates(ingresses: Iterable<Ingress>): WantedCertificate[] {
  const bySecret = new Map<string, { namespace: string; name: string; names: Set<string> }>();
  for (const ingress of ingresses) {
    if (!asksForCertificate(ingress)) continue;
    const { metadata, spec } = ingress;
    const namespace = metadata.namespace ?? 'default';
    for (const { hosts, secretName } of spec?.tls ?? []) {
      // a wildcard can only be proved through DNS
      const names = (hosts ?? []).filter((host) => !host.startsWith('*'));
      if (!secretName || names.length === 0) continue;
      const key = `${namespace}/${secretName}`;
      let wanted = bySecret.get(key);
      if (!wanted) bySecret.set(key, (wanted = { namespace, name: secretName, names: new Set() }));
      for (const name of names) wanted.names.add(name.toLowerCase());
    }
  }
  return [...bySecret.values()].map(({ names, ...place }) => ({ ...place, names: [...names].sort() }));
}
