/**
 * The server under test: `node bench/dns/server.ts services endpoints engine receivers [cert key [log]]`. The kubeadm Corefile's
 * chain with metrics on, over UDP and TCP or, with certificate files, over TLS; with a line for the Corefile that logs questions
 * to standard error. Prints its port.
 */
import { DnsServer } from '../../dns/server/dns-server.ts';
import { dnsEngines } from '../../dns/server/engine.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLogger, formatText } from '../../src/base/log.ts';
import { Registry } from '../../src/base/metrics.ts';
import { clusterOf } from './cluster.ts';

const [services = 10_000, endpoints = 0] = process.argv.slice(2, 4).map(Number);
const native = process.argv[4] === 'native';
const receivers = Number(process.argv[5] ?? 1);
/** Several are bound to a core each: else it is the scheduler's luck who shares one with the clients. */
const cpus = receivers > 1 ? Array.from({ length: receivers }, (_receiver, i) => i) : [];
const clock = systemClock;
const [cert, key, logLine = ''] = process.argv.slice(6);
const log = createLogger(
  (record) => void process.stderr.write(`${formatText(record, Date.now())}\n`),
  'error',
);
const corefile = `${cert ? `tls://.:0 {\n  tls ${cert} ${key}` : '. {'}
  errors
  ${logLine}
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 30
  }
  prometheus 127.0.0.1:0
  cache 30
  loadbalance
}`;
const server = await DnsServer.open(
  {
    snapshots: clusterOf(services, endpoints),
    clock,
    log,
    metrics: new Registry(),
    random: Math.random,
    ...dnsEngines(native ? 'native' : 'portable', { clock, log }, { receivers, cpus }),
  },
  { corefile: { text: corefile }, dnsPort: 0, defaultBind: ['127.0.0.1'] },
);
const { port } = server.addresses[0]!;
process.stdout.write(`${JSON.stringify({ port })} ready\n`);
