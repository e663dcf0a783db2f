import { ClusterNames } from '../../../dns/cluster/cluster-names.ts';
import { PackedReader } from '../../../dns/cluster/table/packed-reader.ts';
import type { AskingClient } from '../../../dns/cluster/table/raw-question.ts';
import { CookieMaker } from '../../../dns/server/cookie-maker.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { heapBytesAnOperation } from '../../support/heap-growth.ts';
import { clusterOf } from './cluster.ts';
import { questionOf } from './server.ts';

const SERVICES = 200;
const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
  ...Array.from({ length: SERVICES }, (_, i) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'ns', name: `s${i}` },
    spec: {
      clusterIP: `10.96.1.${i}`,
      clusterIPs: [`10.96.1.${i}`, `fd00::${i}`],
      ports: [
        { name: 'http', port: 80 },
        { name: 'https', port: 443 },
      ],
    },
  })),
] as KubeObject[];
const COOKIE = { code: 10, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
const EDNS = { udpSize: 1232, version: 0, dnssecOk: false, options: [] };

const client: AskingClient = {
  six: false,
  port: 40_000,
  writeAddress: (into) => {
    into[0] = 192;
    into[1] = into[2] = 0;
    into[3] = 2;
    return 4;
  },
};

/** Every kind of question that the table answers, for every service. */
export function loadQuestions(): Uint8Array[] {
  const all = Array.from({ length: SERVICES }, (_, i) => [
    questionOf(`s${i}.ns.svc.k A`),
    questionOf(`s${i}.ns.svc.k AAAA`, { edns: EDNS }),
    questionOf(`s${i}.ns.svc.k SRV`, { edns: { ...EDNS, options: [COOKIE] } }),
    questionOf(`_https._tcp.s${i}.ns.svc.k SRV`),
    questionOf(`${i}.1.96.10.in-addr.arpa PTR`),
    questionOf(`none-${i}.ns.svc.k A`),
    questionOf(`www.s${i}.example.org.ns.svc.k A`, { edns: EDNS }),
    questionOf(`s${i}.svc.k A`),
    questionOf(`s${i}.ns.svc.k HTTPS`),
  ]);
  return all.flat().map((message) => encodeMessage(message));
}

/** The table that answers them. */
export function loadNames(): ClusterNames {
  return new ClusterNames(
    { snapshots: clusterOf(OBJECTS), clock: systemClock },
    { zones: ['k', 'in-addr.arpa'] },
  );
}

/** Asks the table so often; bytes of JavaScript heap that one answer takes, the compiler of V8 apart. */
export function heapBytesPerAnswer(warmUp: number, answers: number): number {
  const names = loadNames();
  const cookies = new CookieMaker({ clock: systemClock }, new Uint8Array(16));
  const reader = new PackedReader(names.view.table.buffers, names.readerOptions, { cookies });
  const asked = loadQuestions();
  const out = new Uint8Array(1232);
  const load = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const question = asked[i % asked.length]!;
      if (reader.answer(question, question.length, out, client) === 0) throw new Error(`not answered: ${i}`);
      if (i % 64 === 0) reader.settle(0.0001);
    }
  };
  load(warmUp);
  const bytes = heapBytesAnOperation(answers, () => load(answers));
  names[Symbol.dispose]();
  return bytes;
}
