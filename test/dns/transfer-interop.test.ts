import { spawnSync, type ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canMakeNamespaces, OwnNetwork } from '../support/own-network.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';
import { TestFolder } from './support/folder.ts';

const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;
const has = (tool: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${tool}`], { env: { ...process.env, PATH } }).status === 0;
const able = canMakeNamespaces() && has('knotd') && has('dig');
const KNOT = 5301;
const WEFT = 5302;

const zone = (serial: number, address: string): string =>
  `$TTL 60\n@ SOA ns host ${serial} 900 300 86400 60\n@ NS ns\nns A 127.0.0.1\nwww A ${address}\n*.wild TXT "any"\n`;

const SECRET = Buffer.from('not so secret, it stands in a test').toString('base64');

const knotConf = (folder: string): string => `server:
  listen: [ 127.0.0.1@${KNOT} ]
  rundir: ${folder}
database:
  storage: ${folder}/knot
key:
  - id: secret.test
    algorithm: hmac-sha512
    secret: ${SECRET}
remote:
  - id: weft
    address: 127.0.0.1@${WEFT}
  - id: weft-signed
    address: 127.0.0.1@${WEFT}
    key: secret.test
acl:
  - id: local
    address: 127.0.0.1
    action: [ transfer, notify ]
  - id: signed
    key: secret.test
    action: [ transfer, notify ]
template:
  - id: default
    storage: ${folder}/knot
    zonefile-load: whole
    journal-content: none
    acl: local
zone:
  - domain: of-knot.test
    file: of-knot.db
    notify: weft
  - domain: of-weft.test
    master: weft
  - domain: signed-of-knot.test
    file: signed-of-knot.db
    zonefile-load: difference
    journal-content: changes
    acl: signed
    notify: weft-signed
  - domain: signed-of-weft.test
    master: weft-signed
    acl: signed
`;

const corefile = (folder: string): string => `of-knot.test {
  secondary {
    transfer from 127.0.0.1:${KNOT}
  }
}
signed-of-knot.test {
  secondary {
    transfer from 127.0.0.1:${KNOT}
    key secret.test
  }
}
signed-of-weft.test {
  tsig {
    secret secret.test ${SECRET} hmac-sha512
    require all
  }
  file ${folder}/signed-of-weft.db {
    reload 200ms
  }
  transfer {
    to 127.0.0.1:${KNOT}
    key secret.test
  }
}
of-weft.test {
  file ${folder}/of-weft.db {
    reload 200ms
  }
  transfer {
    to 127.0.0.1:${KNOT}
  }
}
`;

let folder: TestFolder;
let host: OwnNetwork;
let knot: ChildProcess;
let weft: WeftProcess;

beforeAll(async () => {
  if (!able) return;
  folder = new TestFolder({
    'knot/of-knot.db': zone(1, '192.0.2.1'),
    'of-weft.db': zone(1, '192.0.2.11'),
    'knot/signed-of-knot.db': zone(1, '192.0.2.21'),
    'signed-of-weft.db': zone(1, '192.0.2.31'),
  });
  folder.write('knot.conf', knotConf(folder.path));
  folder.write('Corefile', corefile(folder.path));
  host = new OwnNetwork('xfr');
  weft = new WeftProcess(host, [
    'dns',
    '--log-level=info',
    `--conf=${folder.at('Corefile')}`,
    `--dns.port=${WEFT}`,
  ]);
  await weft.ready();
  knot = host.start('knotd', ['-c', folder.at('knot.conf')], { ...process.env, PATH });
});

afterAll(async () => {
  if (!able) return;
  await weft[Symbol.asyncDispose]();
  knot.kill('SIGKILL');
  host[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const dig = (port: number, ...args: string[]): string =>
  host.run('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=5', ...args]).stdout.trim();
const eventually = async (what: string, port: number, name: string, wanted: string): Promise<void> =>
  void (await waitFor(what, () => dig(port, '+short', name) === wanted, 60_000));

describe.runIf(able)('zones between weft and Knot', () => {
  it('weft fetches a zone from Knot and follows its NOTIFY', async () => {
    await eventually('the transfer', WEFT, 'www.of-knot.test', '192.0.2.1');
    expect(dig(WEFT, '+short', 'a.b.wild.of-knot.test', 'TXT')).toBe('"any"');
    folder.write('knot/of-knot.db', zone(2, '192.0.2.2'));
    knot.kill('SIGHUP');
    await eventually('the change', WEFT, 'www.of-knot.test', '192.0.2.2');
  });

  it('Knot fetches a zone from weft and follows its NOTIFY', async () => {
    await eventually('the transfer', KNOT, 'www.of-weft.test', '192.0.2.11');
    folder.write('of-weft.db', zone(2, '192.0.2.12'));
    await eventually('the reload', WEFT, 'www.of-weft.test', '192.0.2.12');
    await eventually('the change', KNOT, 'www.of-weft.test', '192.0.2.12');
  });

  it('weft fetches a signed transfer, and then by IXFR only what has changed', async () => {
    await eventually('the transfer', WEFT, 'www.signed-of-knot.test', '192.0.2.21');
    folder.write('knot/signed-of-knot.db', zone(2, '192.0.2.22'));
    knot.kill('SIGHUP');
    await eventually('the change', WEFT, 'www.signed-of-knot.test', '192.0.2.22');
    expect(dig(WEFT, '+short', 'a.wild.signed-of-knot.test', 'TXT')).toBe('"any"');
    // what it writes reaches us a little later than its answers do
    const told = /zone transferred .*zone=signed-of-knot\.test\. .*incremental=true/;
    await waitFor('the log line', () => told.test(weft.output));
  });

  it('Knot fetches a zone with its key, and follows a signed NOTIFY', async () => {
    await eventually('the transfer', KNOT, 'www.signed-of-weft.test', '192.0.2.31');
    folder.write('signed-of-weft.db', zone(2, '192.0.2.32'));
    await eventually('the change', KNOT, 'www.signed-of-weft.test', '192.0.2.32');
  });

  it.each<[string, string, RegExp]>([
    ['the right key', `hmac-sha512:secret.test:${SECRET}`, /^; Transfer|XFR size: 6 records/m],
    ['another secret', `hmac-sha512:secret.test:${btoa('another')}`, /BADSIG|Transfer failed/],
    ['another name', `hmac-sha512:other.test:${SECRET}`, /BADKEY|Transfer failed/],
    ['another algorithm', `hmac-sha256:secret.test:${SECRET}`, /BADKEY|Transfer failed/],
  ])('dig transfers with %s as it should', (_what, key, wanted) =>
    expect(dig(WEFT, '-y', key, 'signed-of-weft.test', 'AXFR')).toMatch(wanted),
  );

  it('turns away what is not signed where it must be', () => {
    expect(dig(WEFT, 'www.signed-of-weft.test')).toContain('status: REFUSED');
    const signed = dig(WEFT, '-y', `hmac-sha512:secret.test:${SECRET}`, 'www.signed-of-weft.test');
    expect(signed).toContain('status: NOERROR');
    expect(signed).not.toContain('verify');
    const kdig = host.run('kdig', [
      '@127.0.0.1',
      '-p',
      String(WEFT),
      '-y',
      `hmac-sha512:secret.test:${SECRET}`,
      'www.signed-of-weft.test',
    ]);
    expect(kdig.stdout).toContain('status: NOERROR');
    expect(kdig.stderr + kdig.stdout).not.toMatch(/WARNING|TSIG error/i);
  });

  it('dig transfers the zone whole, and by IXFR only what it lacks', () => {
    const serial = dig(WEFT, '+short', 'of-weft.test', 'SOA').split(' ')[2];
    const lines = dig(WEFT, '+noall', '+answer', 'of-weft.test', 'AXFR').split('\n');
    expect(lines).toHaveLength(6);
    expect(lines[0]).toBe(lines.at(-1));
    const current = dig(WEFT, '+noall', '+answer', '+tcp', 'of-weft.test', `IXFR=${serial}`).split('\n');
    expect(current).toHaveLength(1);
    const older = dig(WEFT, '+noall', '+answer', '+tcp', 'of-weft.test', 'IXFR=0').split('\n');
    expect(older).toHaveLength(6);
  });
});

it('the tools are there', (ctx) => {
  if (!able) ctx.skip('needs root for network namespaces, knotd and dig');
});
