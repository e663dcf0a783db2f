import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/source-files.ts';

/** What a user writes; resolved by the `exports` of package.json, so it is the build that runs. */
const PROGRAM = `
import {
  ClusterNames, DnsServer, PackedReader, Registry, Tracker, composeChain, decodeMessage, encodeMessage, queryMessage,
  record, replyTo, silentLogger, systemClock,
} from 'weft/dns';

const tracker = new Tracker({ log: silentLogger });
const metadata = { namespace: 'shop', name: 'cart' };
const spec = { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ports: [{ port: 80 }] };
tracker.upsert({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
tracker.upsert({ apiVersion: 'v1', kind: 'Service', metadata, spec });
tracker.synced('v1', 'Service');
tracker.synced('discovery.k8s.io/v1', 'EndpointSlice');
tracker.flush();

const question = { name: 'cart.shop.svc.cluster.local.', type: 'A', class: 'IN' };
const packet = encodeMessage(queryMessage(question, { id: 99 }));
using names = new ClusterNames({ snapshots: tracker, clock: systemClock }, { zones: ['cluster.local'] });
const out = new Uint8Array(1232);
const fromTable = decodeMessage(out.subarray(0, names.answer(packet, packet.length, out))).message;

const elsewhere = new PackedReader(names.view.table.buffers, names.readerOptions);
const again = elsewhere.answer(packet, packet.length, out) > 0;

const chain = composeChain([
  {
    name: 'mine',
    serve: (query, next) =>
      query.name === 'mine.example.'
        ? { kind: 'reply', message: replyTo(query.request, { answers: [record(query.name, 5, 'A', { address: '192.0.2.1' })] }) }
        : next(query),
  },
]);
const mine = chain({ name: 'mine.example.', request: queryMessage({ name: 'mine.example.', type: 'A', class: 'IN' }) });
const other = chain({ name: 'other.example.', request: queryMessage({ name: 'other.example.', type: 'A', class: 'IN' }) });

const deps = { snapshots: tracker, clock: systemClock, log: silentLogger, metrics: new Registry(), random: Math.random };
await using server = await DnsServer.open(deps, {
  corefile: { text: '. {\\n kubernetes cluster.local\\n}' }, dnsPort: 0, defaultBind: ['127.0.0.1'],
});
console.log(JSON.stringify({
  fromTable: fromTable.answers[0].data.address,
  again,
  mine: mine.message.answers[0].data.address,
  other: other.rcode,
  listening: server.addresses.map(({ transport }) => transport),
}));
`;

describe('weft/dns', () => {
  it('is what an embedder imports', (ctx) => {
    if (!existsSync(`${ROOT}dist/dns/library.js`)) ctx.skip('there is no build: npm run build');
    const args = ['--input-type=module', '-e', PROGRAM];
    const said = JSON.parse(execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })) as unknown;
    expect(said).toEqual({
      fromTable: '10.96.0.7',
      again: true,
      mine: '192.0.2.1',
      other: 'SERVFAIL',
      listening: ['udp', 'tcp'],
    });
  });
});
