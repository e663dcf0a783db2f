import type { ServiceEntry } from '../../../endpoints/service-port.ts';
import type { Ingress } from '../../api/kinds/ingress.ts';
import { joinHostPort } from '../../net/ip.ts';
import { renderTable } from '../text-table.ts';

export interface TableContext {
  readonly clusterDomain: string;
  readonly ingresses: Iterable<Ingress>;
  /** Ports where the ingress listens, for the URLs. */
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
}

const HEAD = ['NAMESPACE', 'SERVICE', 'TYPE', 'CLUSTER-IP', 'PORTS', 'ENDPOINTS', 'DNS NAME', 'URL'];

/** One line a service: how to reach it by address, by name and by URL, and how much of it is ready. */
export function renderServices(services: Iterable<ServiceEntry>, context: TableContext): string {
  const urls = ingressUrls(context);
  const rows = [...services]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((service) => [
      service.namespace,
      service.name,
      service.type,
      service.headless ? 'None' : (service.clusterIPs[0] ?? '-'),
      service.ports.map(portText).join(',') || '-',
      endpointText(service),
      `${service.name}.${service.namespace}.svc.${context.clusterDomain}`,
      urls.get(service.key) ?? directUrl(service),
    ]);
  return renderTable(HEAD, rows);
}

function portText(port: ServiceEntry['ports'][number]): string {
  return `${port.port}${port.nodePort > 0 ? `:${port.nodePort}` : ''}/${port.protocol}`;
}

function endpointText(service: ServiceEntry): string {
  if (service.type === 'ExternalName') return service.externalName ?? '-';
  const ready = service.endpoints.filter((endpoint) => endpoint.ready).length;
  return `${ready}/${service.endpoints.length}`;
}

function directUrl(service: ServiceEntry): string {
  const address = service.loadBalancer[0]?.address ?? service.clusterIPs[0];
  const port = service.ports.find((each) => each.protocol === 'TCP');
  if (!address || !port || service.headless) return '-';
  const scheme = /^(https?)\b/.exec(port.appProtocol ?? port.name)?.[1];
  return scheme ? `${scheme}://${joinHostPort(address, port.port)}/` : '-';
}

function ingressUrls(context: TableContext): Map<string, string> {
  const urls = new Map<string, string>();
  for (const ingress of context.ingresses) {
    const secure = new Set((ingress.spec?.tls ?? []).flatMap((entry) => entry.hosts ?? []));
    for (const rule of ingress.spec?.rules ?? []) {
      for (const path of rule.http?.paths ?? []) {
        const key = `${ingress.metadata.namespace}/${path.backend.service?.name}`;
        const url = urlOf(rule.host, path.path ?? '/', secure.has(rule.host ?? ''), context);
        if (url && !urls.has(key)) urls.set(key, url);
      }
    }
  }
  return urls;
}

function urlOf(
  host: string | undefined,
  path: string,
  secure: boolean,
  context: TableContext,
): string | undefined {
  const port = secure ? context.httpsPort : context.httpPort;
  if (port === undefined) return undefined;
  const name = (host ?? 'localhost').replace('*', 'any');
  const usual = secure ? 443 : 80;
  return `${secure ? 'https' : 'http'}://${name}${port === usual ? '' : `:${port}`}${path}`;
}
