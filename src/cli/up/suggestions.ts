import type { ServiceEntry, ServicePortInfo } from '../../../endpoints/service-port.ts';
import type { Ingress } from '../../api/kinds/ingress.ts';

export interface SuggestionContext {
  readonly dns: { readonly host: string; readonly port: number };
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly clusterDomain: string;
  /** How this program was started: what the user can type again. */
  readonly command: string;
}

/** Commands that work as pasted, made from what is really running: a lookup, by address, by URL, WebSocket, trace. */
export function suggestions(
  services: readonly ServiceEntry[],
  ingresses: readonly Ingress[],
  context: SuggestionContext,
): string {
  const users = services.filter(
    (service) => service.namespace !== 'kube-system' && service.name !== 'kubernetes',
  );
  const urls = ingresses.flatMap((ingress) => ingressUrls(ingress, context));
  const web = urls.find((url) => !isWebSocket(url, users));
  const socket = urls.find((url) => isWebSocket(url, users));
  const lines = [
    digLine(users, context),
    vipLine(users),
    web && `curl -k ${web.url}`,
    socket && webSocketLine(socket.url),
    traceLine(users, context),
  ];
  const found = lines.filter((line) => line !== undefined);
  return found.length === 0 ? '' : `Try:\n${found.map((line) => `  ${line}\n`).join('')}\n`;
}

/** A, SRV and the name of one replica in one dig. */
function digLine(
  services: readonly ServiceEntry[],
  { dns, clusterDomain }: SuggestionContext,
): string | undefined {
  const named = services.find((service) => service.clusterIPs.length > 0 && webPort(service)) ?? services[0];
  if (!named) return undefined;
  const headless = services.find((service) => service.headless);
  const replica = headless?.endpoints.find((endpoint) => endpoint.hostname !== undefined)?.hostname;
  const nameOf = ({ name, namespace }: ServiceEntry): string => `${name}.${namespace}.svc.${clusterDomain}`;
  const questions = [
    `${nameOf(named)} A`,
    ...(headless ? [`${nameOf(headless)} SRV`] : []),
    ...(headless && replica !== undefined ? [`${replica}.${nameOf(headless)} A`] : []),
  ];
  return `dig @${dns.host} -p ${dns.port} +short ${questions.join(' ')}`;
}

function vipLine(services: readonly ServiceEntry[]): string | undefined {
  const web = services.find((service) => service.clusterIPs.length > 0 && webPort(service));
  return web && `curl http://${web.clusterIPs[0]}:${webPort(web)?.port}/`;
}

function webPort(service: ServiceEntry): ServicePortInfo | undefined {
  return service.ports.find((port) => /^http\b/.test(port.name));
}

interface SuggestedUrl {
  readonly url: string;
  readonly service: string;
}

function ingressUrls({ metadata, spec }: Ingress, context: SuggestionContext): SuggestedUrl[] {
  const secure = spec?.tls?.flatMap((entry) => entry.hosts ?? []) ?? [];
  return (spec?.rules ?? []).flatMap(({ host, http }) => {
    const name = http?.paths[0]?.backend.service?.name;
    if (!host || host.startsWith('*') || name === undefined) return [];
    const base = secure.includes(host)
      ? `https://${host}:${context.httpsPort}/`
      : `http://${host}:${context.httpPort}/`;
    return [{ url: base, service: `${metadata.namespace}/${name}` }];
  });
}

/** KEP-3726 names WebSocket ports by appProtocol. */
function isWebSocket({ service }: SuggestedUrl, services: readonly ServiceEntry[]): boolean {
  const entry = services.find(({ key }) => key === service);
  return entry?.ports.some(({ appProtocol }) => /^kubernetes\.io\/wss?$/.test(appProtocol ?? '')) === true;
}

/** Any curl can show a WebSocket's handshake and first frames. */
function webSocketLine(url: string): string {
  const key = Buffer.from('weft says hello!').toString('base64');
  const headers = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
  ];
  return `curl -ki -N -m 2 --http1.1 ${headers.map((header) => `-H '${header}'`).join(' ')} ${url}`;
}

function traceLine(services: readonly ServiceEntry[], { command }: SuggestionContext): string | undefined {
  const web = services.find((service) => service.clusterIPs.length > 0 && webPort(service));
  return web && `${command} trace --to ${web.name}.${web.namespace}:${webPort(web)?.port}`;
}
