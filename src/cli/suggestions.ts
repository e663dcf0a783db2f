import type { ServiceEntry } from '../../endpoints/service-port.ts';
import type { Ingress } from '../api/kinds/ingress.ts';

export interface SuggestionContext {
  readonly dns: { readonly host: string; readonly port: number };
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly clusterDomain: string;
}

/** Five commands that work as pasted, made from what is really running. */
export function suggestions(
  services: readonly ServiceEntry[],
  ingresses: readonly Ingress[],
  context: SuggestionContext,
): string {
  const lines = [
    digLine(services, context),
    headlessLine(services, context),
    vipLine(services),
    urlLine(ingresses, context),
    traceLine(ingresses, context),
  ];
  const found = lines.filter((line) => line !== undefined);
  return found.length === 0 ? '' : `Try:\n${found.map((line) => `  ${line}\n`).join('')}\n`;
}

function digLine(
  services: readonly ServiceEntry[],
  { dns, clusterDomain }: SuggestionContext,
): string | undefined {
  const named = services.find((service) => isUsers(service) && service.clusterIPs.length > 0);
  return (
    named && `dig @${dns.host} -p ${dns.port} +short ${named.name}.${named.namespace}.svc.${clusterDomain}`
  );
}

function headlessLine(
  services: readonly ServiceEntry[],
  { dns, clusterDomain }: SuggestionContext,
): string | undefined {
  const headless = services.find((service) => isUsers(service) && service.headless);
  return (
    headless &&
    `dig @${dns.host} -p ${dns.port} SRV ${headless.name}.${headless.namespace}.svc.${clusterDomain}`
  );
}

function vipLine(services: readonly ServiceEntry[]): string | undefined {
  const web = services.find(
    (service) =>
      isUsers(service) &&
      service.clusterIPs.length > 0 &&
      service.ports.some((port) => /^http\b/.test(port.name)),
  );
  const port = web?.ports.find((each) => /^http\b/.test(each.name));
  return web && port && `curl http://${web.clusterIPs[0]}:${port.port}/`;
}

function urlLine(ingresses: readonly Ingress[], context: SuggestionContext): string | undefined {
  for (const ingress of ingresses) {
    const secure = ingress.spec?.tls?.flatMap((entry) => entry.hosts ?? []) ?? [];
    const host = ingress.spec?.rules?.find((rule) => rule.host && !rule.host.startsWith('*'))?.host;
    if (!host) continue;
    if (secure.includes(host)) return `curl -k https://${host}:${context.httpsPort}/`;
    return `curl http://${host}:${context.httpPort}/`;
  }
  return undefined;
}

function traceLine(ingresses: readonly Ingress[], context: SuggestionContext): string | undefined {
  const host = ingresses.flatMap((ingress) => ingress.spec?.rules ?? []).find((rule) => rule.host)?.host;
  return host && `weft trace --from outside --to http://${host}:${context.httpPort}/`;
}

function isUsers(service: ServiceEntry): boolean {
  return service.namespace !== 'kube-system' && service.name !== 'kubernetes';
}
