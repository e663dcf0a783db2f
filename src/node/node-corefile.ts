/** kubeadm's Corefile without the parts that open further ports: health and metrics are the daemon's own. */
export function nodeCorefile(clusterDomain: string, pods: 'insecure' | 'verified'): string {
  return `. {
    errors
    kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
        pods ${pods}
        ttl 5
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf {
        max_concurrent 1000
    }
    cache 30 {
        disable success ${clusterDomain}
        disable denial ${clusterDomain}
    }
    loadbalance
}
`;
}
