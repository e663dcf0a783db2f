import { type BackendRef, backendKey, type Target } from '../compile/route.ts';

/** One exposed port, as ingress-nginx's tcp-services and udp-services ConfigMaps write it. */
export interface StreamRule {
  readonly port: number;
  readonly target: Target & { readonly kind: 'service' };
  /** Connections begin with a PROXY header. */
  readonly decodeProxy: boolean;
  /** The endpoint is told the client by a PROXY header. */
  readonly encodeProxy: boolean;
}

/** `"9000": "namespace/service:port[:PROXY][:PROXY]"`; what cannot be read is a problem and is not served. */
export function readStreamRules(
  data: Readonly<Record<string, string>>,
  reserved: ReadonlySet<number>,
  protocol: 'tcp' | 'udp' = 'tcp',
): { rules: StreamRule[]; problems: string[] } {
  const rules: StreamRule[] = [];
  const problems: string[] = [];
  for (const [key, value] of Object.entries(data)) {
    const rule = readRule(key, value.trim(), protocol);
    if (typeof rule === 'string') problems.push(`${key}: ${rule}`);
    else if (protocol === 'tcp' && reserved.has(rule.port))
      problems.push(`${key}: the ingress itself listens on this port`);
    else rules.push(rule);
  }
  return { rules, problems };
}

function readRule(key: string, value: string, protocol: 'tcp' | 'udp'): StreamRule | string {
  const port = /^\d{1,5}$/.test(key) ? Number(key) : 0;
  if (port < 1 || port > 65_535) return 'is no port';
  const parts =
    /^([a-z0-9][-a-z0-9.]*)\/([a-z0-9][-a-z0-9.]*):([a-z0-9][-a-z0-9]*)(?::(PROXY)?)?(?::(PROXY))?$/.exec(
      value,
    );
  if (!parts) return `${JSON.stringify(value)} is not namespace/service:port`;
  const [, namespace, service, portText, decode, encode] = parts as unknown as [
    string,
    string,
    string,
    string,
    string | undefined,
    string | undefined,
  ];
  const backend: BackendRef = {
    namespace,
    service,
    port: /^\d+$/.test(portText) ? { number: Number(portText) } : { name: portText },
    ...(protocol === 'udp' && { protocol: 'UDP' as const }),
  };
  return {
    port,
    target: { kind: 'service', backend, key: backendKey(backend) },
    decodeProxy: decode !== undefined,
    encodeProxy: encode !== undefined,
  };
}

/** A PROXY protocol header, version 1 (specification section 2.1). */
export function proxyLine(
  client: { readonly address: string; readonly port: number },
  own: { readonly address: string; readonly port: number },
): string {
  const family = client.address.includes(':') ? 'TCP6' : 'TCP4';
  const mixed = client.address.includes(':') !== own.address.includes(':');
  if (mixed) return 'PROXY UNKNOWN\r\n';
  return `PROXY ${family} ${client.address} ${own.address} ${client.port} ${own.port}\r\n`;
}
