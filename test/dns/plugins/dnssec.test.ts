import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { keyTag } from '../../../dns/plugins/dnssec/key.ts';
import type { Message } from '../../../dns/wire/message.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  KEY_ALGORITHMS,
  keyRdata,
  makeBindKey,
  type BindKey,
  type KeyAlgorithm,
} from '../support/bind-key.ts';
import { clusterOf } from '../support/cluster.ts';
import { TestFolder } from '../support/folder.ts';
import { ask, openServer, type TestServer, type TestServerOptions } from '../support/server.ts';

const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
const run = promisify(execFile);

const ZONE = `$TTL 300
@     SOA ns host 1 7200 1800 86400 60
@     NS  ns
@     NS  NS2
ns    A   192.0.2.53
NS2   A   192.0.2.54
www   A   192.0.2.80
www   A   192.0.2.81
MiXed 60 TXT "a" "b"
alias CNAME WWW
dead  CNAME nothing
*.w   A   192.0.2.99
mail  MX  10 NS
srv   SRV 0 1 80 WWW
sub   NS  ns.sub
ns.sub A  192.0.2.60
safe  NS  ns.sub
safe  DS  1 13 2 0011223344556677889900112233445566778899001122334455667788990011
`;

interface Signed extends AsyncDisposable {
  readonly folder: TestFolder;
  readonly on: TestServer;
}

async function openSigned(keys: readonly BindKey[], options: TestServerOptions = {}): Promise<Signed> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(new TestFolder({ db: ZONE, anchor: keys[0]!.trustAnchor }));
  keys.forEach((key, i) => {
    folder.write(`K${i}.key`, key.publicText);
    folder.write(`K${i}.private`, key.privateText);
  });
  const names = keys.map((_key, i) => folder.at(`K${i}`)).join(' ');
  const on = stack.use(
    await openServer(`example.org {\ndnssec {\nkey file ${names}\n}\nfile ${folder.at('db')}\n}`, options),
  );
  return { folder, on, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const DO = { edns: { udpSize: 4096, version: 0, dnssecOk: true, options: [] } };
const typesOf = (records: Message['answers']): string[] => records.map(({ type }) => type);

describe('delv validates what dnssec signs', () => {
  for (const algorithm of Object.keys(KEY_ALGORITHMS) as KeyAlgorithm[]) {
    it(`with ${algorithm}`, async (ctx) => {
      if (!has('delv')) ctx.skip('delv is not installed');
      await using signed = await openSigned([makeBindKey('example.org.', algorithm)]);
      const { port } = signed.on.udp;
      const delv = async (name: string, type: string): Promise<string> => {
        const args = [
          '@127.0.0.1',
          '-p',
          String(port),
          '-a',
          signed.folder.at('anchor'),
          '+root=example.org',
        ];
        const { stdout, stderr } = await run('delv', [...args, name, type], { timeout: 20_000 }).catch(
          (error: { stdout: string; stderr: string }) => error,
        );
        return stdout + stderr;
      };
      for (const [name, type] of [
        ['example.org', 'SOA'],
        ['example.org', 'NS'],
        ['example.org', 'DNSKEY'],
        ['www.example.org', 'A'],
        ['WWW.example.ORG', 'A'],
        ['mixed.example.org', 'TXT'],
        ['alias.example.org', 'A'],
        ['x.y.w.example.org', 'A'],
        ['mail.example.org', 'MX'],
        ['srv.example.org', 'SRV'],
        ['safe.example.org', 'DS'],
      ] as const) {
        const answer = await delv(name, type);
        expect(answer, `${name} ${type}`).toContain('; fully validated');
        expect(answer, `${name} ${type}`).not.toContain('unsigned');
      }
      for (const [name, type] of [
        ['nothing.example.org', 'A'],
        ['www.example.org', 'AAAA'],
        ['example.org', 'MX'],
        ['w.example.org', 'A'],
        ['dead.example.org', 'A'],
        ['sub.example.org', 'DS'],
      ] as const) {
        const answer = await delv(name, type);
        expect(answer, `${name} ${type}`).toMatch(/; (negative response, )?fully validated/);
        expect(answer, `${name} ${type}`).not.toContain('resolution failed: SERVFAIL');
      }
    });
  }

  it('and refuses another key', async (ctx) => {
    if (!has('delv')) ctx.skip('delv is not installed');
    await using signed = await openSigned([makeBindKey('example.org.', 'ED25519')]);
    const other = signed.folder.write('other', makeBindKey('example.org.', 'ED25519').trustAnchor);
    const args = ['@127.0.0.1', '-p', String(signed.on.udp.port), '-a', other, '+root=example.org'];
    const { stdout, stderr } = await run('delv', [...args, 'www.example.org', 'A'], {
      timeout: 20_000,
    }).catch((error: { stdout: string; stderr: string }) => error);
    expect(stdout + stderr).not.toContain('fully validated');
  });
});

describe('dnssec', () => {
  const key = makeBindKey('example.org.', 'ECDSAP256SHA256');

  it('signs only for those who ask', async () => {
    await using signed = await openSigned([key]);
    expect(typesOf((await ask(signed.on, 'www.example.org. A')).answers)).toEqual(['A', 'A']);
    expect(typesOf((await ask(signed.on, 'www.example.org. A', DO)).answers)).toEqual(['A', 'A', 'RRSIG']);
  });

  it('answers DNSKEY to everybody', async () => {
    await using signed = await openSigned([key]);
    const reply = await ask(signed.on, 'example.org. DNSKEY');
    expect(reply.answers.map(formatRecord)).toEqual([formatRecord(key.record)]);
  });

  it('denies with one proof for the name alone (RFC 9824)', async () => {
    await using signed = await openSigned([key]);
    const reply = await ask(signed.on, 'NO.example.org. A', DO);
    expect(reply.rcode).toBe('NOERROR');
    expect(typesOf(reply.authorities)).toEqual(['SOA', 'RRSIG', 'NSEC', 'RRSIG']);
    expect(formatRecord(reply.authorities[2]!)).toBe(
      'NO.example.org. 60 IN NSEC \\000.no.example.org. RRSIG NSEC TYPE128',
    );
    const nodata = await ask(signed.on, 'www.example.org. AAAA', DO);
    const types = formatRecord(nodata.authorities[2]!);
    expect(types).toContain(' A ');
    expect(types).not.toMatch(/ AAAA| CNAME| NS | DNAME/);
  });

  it('signs DNSKEY with the entry point and the rest with the zone key', async () => {
    const zsk = makeBindKey('example.org.', 'ECDSAP256SHA256', 256);
    await using signed = await openSigned([key, zsk]);
    const tags = async (what: string): Promise<unknown[]> =>
      (await ask(signed.on, what, DO)).answers.flatMap((each) =>
        each.type === 'RRSIG' ? [each.data.keyTag] : [],
      );
    expect(await tags('example.org. DNSKEY')).toEqual([keyTag(keyRdata(key))]);
    expect(await tags('www.example.org. A')).toEqual([keyTag(keyRdata(zsk))]);
  });

  it('keeps signatures, and makes them anew before they end', async () => {
    const clock = new FakeClock();
    await using signed = await openSigned([key], { clock });
    const signature = async (): Promise<string> =>
      formatRecord((await ask(signed.on, 'www.example.org. A', DO)).answers[2]!);
    const first = await signature();
    expect(await signature()).toBe(first);
    await clock.advance(5 * 86_400_000);
    expect(await signature()).toBe(first);
    await clock.advance(1.1 * 86_400_000);
    expect(await signature()).not.toBe(first);
    expect(await signed.on.metrics.metrics()).toMatch(
      /coredns_dnssec_cache_hits_total\{server="dns:\/\/[^"]*"\} 4/,
    );
  });

  it('signs names of the cluster', async () => {
    const own = makeBindKey('cluster.local.', 'ED25519');
    using folder = new TestFolder({ 'K.key': own.publicText, 'K.private': own.privateText });
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'shop' },
      spec: { clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ports: [{ port: 80 }] },
    };
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
    const cluster = clusterOf([namespace, service]);
    const corefile = `cluster.local {\ndnssec {\nkey file ${folder.at('K.key')}\n}\nkubernetes\n}`;
    await using on = await openServer(corefile, { cluster });
    const reply = await ask(on, 'web.shop.svc.cluster.local. A', DO);
    expect(typesOf(reply.answers)).toEqual(['A', 'RRSIG']);
    const denied = await ask(on, 'no.shop.svc.cluster.local. A', DO);
    expect([denied.rcode, ...typesOf(denied.authorities)]).toEqual([
      'NOERROR',
      'SOA',
      'RRSIG',
      'NSEC',
      'RRSIG',
    ]);
  });

  it('computes key tags as RFC 8080 section 6.1 shows', () => {
    const octets = Uint8Array.from([
      1,
      1,
      3,
      15,
      ...Buffer.from('l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=', 'base64'),
    ]);
    expect(keyTag(octets)).toBe(3613);
  });

  it.each<[string, (folder: TestFolder) => string, string]>([
    ['no key', () => '', 'dnssec needs "key file KEY"'],
    ['a key that is not there', (folder) => `key file ${folder.at('no')}`, 'cannot be used: ENOENT'],
    [
      'a pair that does not belong together',
      (folder) => {
        const [a, b] = [makeBindKey('example.org.', 'ED25519'), makeBindKey('example.org.', 'ED25519')];
        folder.write('x.key', a.publicText);
        folder.write('x.private', b.privateText);
        return `key file ${folder.at('x')}`;
      },
      'do not belong together',
    ],
    [
      'a key of another zone',
      (folder) => {
        const other = makeBindKey('example.net.', 'ED25519');
        folder.write('x.key', other.publicText);
        folder.write('x.private', other.privateText);
        return `key file ${folder.at('x')}`;
      },
      'is a key of example.net., not of example.org.',
    ],
    ['an unknown option', () => 'keys file x', 'unknown option "keys" of dnssec; did you mean "key"?'],
  ])('refuses %s', async (_what, lineOf, fault) => {
    using folder = new TestFolder();
    await expect(openServer(`example.org {\ndnssec {\n${lineOf(folder)}\n}\n}`)).rejects.toThrow(fault);
  });
});
