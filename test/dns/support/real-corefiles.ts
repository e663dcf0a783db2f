/**
 * Corefiles in the form in which distributions install them. `{upstream}` is not theirs: in a test it stands where
 * theirs name resolvers of a network that is not there.
 */
export interface RealCorefile {
  readonly name: string;
  readonly text: string;
  /** Files that it reads, relative to its folder. */
  readonly files?: Readonly<Record<string, string>>;
  /** `name TYPE` and what dig +short would print; upstream answers every name with 192.0.2.53. */
  readonly answers: readonly (readonly [string, string])[];
}

const CLUSTER = [
  ['web.shop.svc.cluster.local. A', '10.96.0.7'],
  ['7.0.96.10.in-addr.arpa. PTR', 'web.shop.svc.cluster.local.'],
  ['www.example.org. A', '192.0.2.53'],
] as const;

const kubernetesBlock = (zones: string, rest: string): string => `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes ${zones} {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
${rest}
}
`;
const TAIL = `    prometheus :9153
    forward . {upstream} {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance`;
const REVERSE = 'cluster.local in-addr.arpa ip6.arpa';

/** One of the four blocks of node-local-dns. */
const nodeLocalBlock = (zone: string, cache: string, to: string, options: string): string => `${zone}:53 {
    errors
    cache ${cache}
    reload
    loop
    bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
    forward . ${to}${options}
    prometheus :9253
    }
`;

export const REAL_COREFILES: readonly RealCorefile[] = [
  { name: 'kubeadm up to 1.31', text: kubernetesBlock(REVERSE, TAIL), answers: CLUSTER },
  {
    name: 'kubeadm from 1.32',
    text: kubernetesBlock(
      REVERSE,
      TAIL.replace(
        'cache 30',
        'cache 30 {\n       disable success cluster.local\n       disable denial cluster.local\n    }',
      ),
    ),
    answers: CLUSTER,
  },
  {
    name: 'minikube, with the host in front',
    text: kubernetesBlock(
      REVERSE,
      `    log\n    hosts {\n       192.168.49.1 host.minikube.internal\n       fallthrough\n    }\n${TAIL}`,
    ),
    answers: [...CLUSTER, ['host.minikube.internal. A', '192.168.49.1']],
  },
  {
    name: 'k3s',
    text: `.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    hosts NodeHosts {
      ttl 60
      reload 15s
      fallthrough
    }
    prometheus :9153
    cache 30
    loop
    reload
    loadbalance
    import custom/*.override
    forward . {upstream}
}
import custom/*.server
`,
    files: {
      NodeHosts: '192.168.1.2 server-0\n',
      'custom/lan.server': 'lan:53 {\n  hosts {\n    10.9.9.9 nas.lan\n  }\n}\n',
    },
    answers: [...CLUSTER, ['server-0. A', '192.168.1.2'], ['nas.lan. A', '10.9.9.9']],
  },
  {
    name: 'RKE2 and Rancher charts',
    text: `.:53 {
    errors
    health  {
        lameduck 5s
    }
    ready
    kubernetes  cluster.local  cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus  0.0.0.0:9153
    forward  . {upstream}
    cache  30
    loop
    reload
    loadbalance
}
`,
    answers: CLUSTER,
  },
  {
    name: 'EKS',
    text: `.:53 {
    errors
    health {
        lameduck 5s
      }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
    }
    prometheus :9153
    forward . {upstream}
    cache 30
    loop
    reload
    loadbalance
}
corp.example:53 {
    errors
    cache 30
    forward . {upstream} {
      prefer_udp
    }
}
`,
    answers: [...CLUSTER, ['db.corp.example. A', '192.0.2.53']],
  },
  {
    name: 'AKS with a custom ConfigMap',
    text: `.:53 {
    errors
    ready
    health {
      lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
      pods insecure
      fallthrough in-addr.arpa ip6.arpa
      ttl 30
    }
    prometheus :9153
    forward . {upstream}
    cache 30
    loop
    reload
    loadbalance
    import custom/*.override
    template ANY ANY internal.cloudapp.net {
      match "^(?:[^.]+\\.){4,}internal\\.cloudapp\\.net\\.$"
      rcode NXDOMAIN
      fallthrough
    }
    template ANY ANY reddog.microsoft.com {
      rcode NXDOMAIN
    }
}
import custom/*.server
`,
    files: {
      'custom/log.override': 'log\n',
      'custom/rewrite.server':
        'old.example:53 {\n  rewrite name suffix .old.example .new.example answer auto\n  forward . {upstream}\n}\n',
    },
    answers: [
      ...CLUSTER,
      ['a.b.c.d.internal.cloudapp.net. A', 'NXDOMAIN'],
      ['vm.internal.cloudapp.net. A', '192.0.2.53'],
      ['x.reddog.microsoft.com. A', 'NXDOMAIN'],
      ['www.old.example. A', '192.0.2.53'],
    ],
  },
  {
    name: 'GKE with stub domains',
    text: `.:53 {
    errors
    health
    kubernetes cluster.local. in-addr.arpa ip6.arpa {
        pods verified
        fallthrough in-addr.arpa ip6.arpa
    }
    autopath @kubernetes
    prometheus :9153
    forward . {upstream} {
      policy sequential
    }
    cache {
      success 9984 30
      denial 9984 5
      prefetch 10 1m 25%
      serve_stale 1h immediate
    }
    loop
    reload
    loadbalance round_robin
}
stub.example:53 acme.example:53 {
    errors
    cache 30
    forward . {upstream}
}
`,
    answers: [...CLUSTER, ['x.stub.example. A', '192.0.2.53'], ['x.acme.example. A', '192.0.2.53']],
  },
  {
    name: 'OpenShift',
    text: `# unicast
corp.example:5353 {
    prometheus 127.0.0.1:9153
    forward . {upstream} {
        policy random
    }
    errors
    log . {
        class error
    }
    bufsize 1232
    cache 900 {
        denial 9984 30
    }
}
.:5353 {
    bufsize 1232
    errors
    log . {
        class error
    }
    health {
        lameduck 20s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    prometheus 127.0.0.1:9153
    forward . {upstream} {
        policy sequential
    }
    cache 900 {
        denial 9984 30
    }
    reload
}
hostname.bind:5353 {
    chaos
}
`,
    answers: [...CLUSTER, ['x.corp.example. A', '192.0.2.53']],
  },
  {
    name: 'node-local-dns',
    text: [
      nodeLocalBlock(
        '__PILLAR__DNS__DOMAIN__',
        '{\n            success 9984 30\n            denial 9984 5\n    }',
        '__PILLAR__CLUSTER__DNS__',
        ' {\n            force_tcp\n    }',
      ).replace('    prometheus', '    health __PILLAR__LOCAL__DNS__:8080\n    prometheus'),
      nodeLocalBlock('in-addr.arpa', '30', '__PILLAR__CLUSTER__DNS__', ' {\n            force_tcp\n    }'),
      nodeLocalBlock('ip6.arpa', '30', '__PILLAR__CLUSTER__DNS__', ' {\n            force_tcp\n    }'),
      nodeLocalBlock('.', '30', '__PILLAR__UPSTREAM__SERVERS__', ''),
    ].join(''),
    answers: [
      ['web.shop.svc.cluster.local. A', '192.0.2.53'],
      ['www.example.org. A', '192.0.2.53'],
    ],
  },
  {
    name: 'two clusters, external names and a tenant of its own',
    text: `(common) {
    errors
    cache 30
    loadbalance
}
.:53 {
    import common
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough
    }
    k8s_external out.example
    rewrite stop {
        name regex (.*)\\.apps\\.example {1}.shop.svc.cluster.local
        answer name (.*)\\.shop\\.svc\\.cluster\\.local {1}.apps.example
    }
    forward cluster.remote {upstream}
    forward . {upstream}
}
blocked.example:53 {
    import common
    template ANY ANY {
        rcode REFUSED
    }
}
`,
    answers: [
      ...CLUSTER,
      ['web.apps.example. A', '10.96.0.7'],
      ['x.cluster.remote. A', '192.0.2.53'],
      ['ads.blocked.example. A', 'REFUSED'],
    ],
  },
];
