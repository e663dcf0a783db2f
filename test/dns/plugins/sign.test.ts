import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { makeBindKey } from '../support/bind-key.ts';
import { TestFolder } from '../support/folder.ts';
import { ask, openServer } from '../support/server.ts';

const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
const run = promisify(execFile);
const key = makeBindKey('example.org.', 'ECDSAP256SHA256');

const ZONE = `$TTL 300
@     SOA ns host 7 7200 1800 86400 60
@     NS  ns
ns    A   192.0.2.53
www   A   192.0.2.80
www   60 A 192.0.2.81
a.b.ent TXT "deep"
*.w   A   192.0.2.99
alias CNAME www
sub   NS  ns.sub
ns.sub A  192.0.2.60
safe  NS  ns.sub
safe  DS  1 13 2 0011223344556677889900112233445566778899001122334455667788990011
dn    DNAME target
x.target A 192.0.2.77
`;

function keyFolder(): TestFolder {
  return new TestFolder({
    db: ZONE,
    'keys/Kexample.org.+013+1.key': key.publicText,
    'keys/Kexample.org.+013+1.private': key.privateText,
    'keys/Kother.net.+013+1.key': 'not ours',
    anchor: key.trustAnchor,
  });
}

const corefile = (folder: TestFolder): string => `example.org {
  sign ${folder.at('db')} {
    key directory ${folder.at('keys')}
    directory ${folder.at('out')}
  }
  file ${folder.at('out/db.example.org.signed')} {
    reload 1s
  }
}`;

const signed = (folder: TestFolder): string => readFileSync(folder.at('out/db.example.org.signed'), 'utf8');

describe('sign', () => {
  it('writes a zone that file serves and delv validates', async (ctx) => {
    if (!has('delv')) ctx.skip('delv is not installed');
    using folder = keyFolder();
    // The file is written while the server opens: the first look of `file` may come before it.
    await using _first = await openServer(corefile(folder));
    await using on = await openServer(corefile(folder));
    const delv = async (name: string, type: string): Promise<string> => {
      const args = ['@127.0.0.1', '-p', String(on.udp.port), '-a', folder.at('anchor'), '+root=example.org'];
      const { stdout, stderr } = await run('delv', [...args, name, type], { timeout: 20_000 }).catch(
        (error: { stdout: string; stderr: string }) => error,
      );
      return stdout + stderr;
    };
    for (const [name, type] of [
      ['example.org', 'SOA'],
      ['example.org', 'DNSKEY'],
      ['example.org', 'CDS'],
      ['www.example.org', 'A'],
      ['alias.example.org', 'A'],
      ['q.r.w.example.org', 'A'],
      ['safe.example.org', 'DS'],
      ['x.dn.example.org', 'A'],
      // denials: no name, no type, no wildcard, empty non-terminal, wildcard without the type, cut without DS
      ['nothing.example.org', 'A'],
      ['zzz.example.org', 'A'],
      ['www.example.org', 'AAAA'],
      ['b.ent.example.org', 'A'],
      ['q.w.example.org', 'MX'],
      ['sub.example.org', 'DS'],
    ] as const) {
      const answer = await delv(name, type);
      expect(answer, `${name} ${type}`).toMatch(/; (negative response, )?fully validated/);
      expect(answer, `${name} ${type}`).not.toContain('SERVFAIL');
    }
  });

  it('is found good by ldns-verify-zone', async (ctx) => {
    if (!has('ldns-verify-zone')) ctx.skip('ldns-verify-zone is not installed');
    using folder = keyFolder();
    await using _on = await openServer(corefile(folder));
    const { stdout } = await run('ldns-verify-zone', [folder.at('out/db.example.org.signed')], {
      timeout: 20_000,
    });
    expect(stdout).toContain('Zone is verified and complete');
  });

  it('serves proofs only to those who ask', async () => {
    using folder = keyFolder();
    await using _first = await openServer(corefile(folder));
    await using on = await openServer(corefile(folder));
    const plain = await ask(on, 'nothing.example.org. A');
    expect([plain.rcode, ...plain.authorities.map(({ type }) => type)]).toEqual(['NXDOMAIN', 'SOA']);
    const edns = { udpSize: 4096, version: 0, dnssecOk: true, options: [] };
    const proven = await ask(on, 'nothing.example.org. A', { edns });
    expect(proven.authorities.filter(({ type }) => type === 'NSEC').length).toBeGreaterThan(0);
  });

  it('signs again when the source changes and before signatures end, not else', async () => {
    using folder = keyFolder();
    const clock = new FakeClock(Date.now() + 60_000);
    await using on = await openServer(corefile(folder), { clock });
    const signings = (): number => on.logs.filter(({ event }) => event === 'zone signed').length;
    const first = signed(folder);
    for (let i = 0; i < 3; i++) await clock.advance(60_001);
    expect([signings(), signed(folder) === first]).toEqual([1, true]);
    folder.write('db', ZONE.replace('192.0.2.80', '192.0.2.82'));
    await waitFor(
      'the change',
      async () => (await clock.advance(60_001), signings() === 2 && signed(folder).includes('192.0.2.82')),
    );
    clock.jumpWall(19 * 86_400_000);
    await waitFor('the renewal', async () => (await clock.advance(60_001), signings() === 3));
    const serials = on.logs.flatMap(({ event, fields }) =>
      event === 'zone signed' ? [Number(fields['serial'])] : [],
    );
    expect(serials).toEqual([...serials].sort((a, b) => a - b));
  });

  it.each([
    ['sign', 'Corefile:2:1: sign takes at least 1 argument(s), 0 given'],
    ['sign db', 'Corefile:2:1: sign needs "key file KEY"'],
    ['sign db {\n key folder x\n}', 'Corefile:3:6: "folder" is not one of file, directory'],
    ['sign db {\n key directory /nowhere/at/all\n}', '"/nowhere/at/all" cannot be read'],
  ])('refuses %j', async (text, fault) => {
    await expect(openServer(`example.org {\n${text}\n}`)).rejects.toThrow(fault);
  });
});
