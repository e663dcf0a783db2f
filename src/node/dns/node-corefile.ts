import { readFileSync } from 'node:fs';
import { parseResolvConf } from '../../../dns/plugins/forward/resolv-conf.ts';
import type { Logger } from '../../base/log.ts';
import { canonicalAddress, joinHostPort } from '../../net/ip.ts';

const RESOLV_CONF = '/etc/resolv.conf';
const DNS_PORT = 53;

interface NodeCorefileOptions {
  readonly clusterDomain: string;
  readonly pods: 'insecure' | 'verified';
  /** Who is asked for names outside the cluster: addresses, or files like resolv.conf. Nobody: they are refused. */
  readonly upstreams: readonly string[];
}

/** kubeadm's Corefile without the parts that open further ports: health and metrics are the daemon's own. */
export function nodeCorefile({ clusterDomain, pods, upstreams }: NodeCorefileOptions): string {
  const forward =
    upstreams.length === 0
      ? ''
      : `    forward . ${upstreams.join(' ')} {
        max_concurrent 1000
    }
`;
  return `. {
    errors
    kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
        pods ${pods}
        ttl 5
        fallthrough in-addr.arpa ip6.arpa
    }
${forward}    cache 30 {
        disable success ${clusterDomain}
        disable denial ${clusterDomain}
    }
    loadbalance
}
`;
}

/**
 * The host's resolvers but ourselves: pods of the process runtime have the host's resolv.conf, so it may well name us,
 * and each name we do not know would come back to us.
 * @param own where we answer
 */
export function upstreamsBeside(
  log: Logger,
  own: readonly { readonly host: string; readonly port: number }[],
  file = RESOLV_CONF,
): readonly string[] {
  const here = new Set(
    own.filter(({ port }) => port === DNS_PORT).map(({ host }) => canonicalAddress(host) ?? host),
  );
  const { nameservers } = parseResolvConf(readText(file));
  const others = nameservers.filter((address) => !here.has(canonicalAddress(address) ?? address));
  if (others.length === nameservers.length) return [file];
  if (others.length === 0) log.warn('names outside the cluster are refused: the host asks only us', { file });
  return others.map((address) => joinHostPort(address, DNS_PORT));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the Corefile's own fault tells of it
  }
}
