import { familyOf, joinHostPort } from '../../net/ip.ts';

/** A name, and what of it is wanted. */
export interface NameTarget {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, ws: 80, https: 443, wss: 443 };

/**
 * `NAME:port[/proto]`, or a URL whose host is a name of the cluster: those connections meet DNS and the proxy and
 * never the ingress. Undefined for addresses and for URLs of the world outside.
 */
export function nameTarget(to: string, clusterDomain: string): NameTarget | undefined {
  const [, scheme, host = '', portText] = /^(\w+):\/\/([^/:[\]]+)(?::(\d+))?(?:[/?#]|$)/.exec(to) ?? [];
  if (scheme !== undefined) {
    const inside = host.replace(/\.$/, '').endsWith(`.${clusterDomain}`);
    const port = Number(portText ?? DEFAULT_PORTS[scheme]);
    return inside ? { name: host, port, protocol: 'tcp' } : undefined;
  }
  const [, name = '', port, protocol = 'tcp'] = /^([^/:[\]]+):(\d+)(?:\/(\w+))?$/.exec(to) ?? [];
  return name === '' || familyOf(name) ? undefined : { name, port: Number(port), protocol };
}

/** As `--to` of a packet. */
export function packetTarget(address: string, { port, protocol }: NameTarget): string {
  return `${joinHostPort(address, port)}/${protocol}`;
}
