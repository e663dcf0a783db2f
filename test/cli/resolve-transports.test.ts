import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestCertificate } from '../dns/support/certificate.ts';
import { TestFolder } from '../dns/support/folder.ts';
import { canMakeNamespaces, OwnNetwork, type Output } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { WeftProcess } from '../support/weft-process.ts';

const able = canMakeNamespaces();
let certificate: TestCertificate;
let folder: TestFolder;
let host: OwnNetwork;
let weft: WeftProcess;

const corefile = ({ certFile, keyFile }: TestCertificate): string => `.:5300 tls://.:8853 https://.:8443 {
  tls ${certFile} ${keyFile}
  template IN A . {
    match ^small[.]
    answer "{{ .Name }} 60 IN A 192.0.2.1"
    fallthrough
  }
  template IN TXT . {
    answer "{{ .Name }} 60 IN TXT ${'x'.repeat(250)} ${'y'.repeat(250)} ${'z'.repeat(250)}"
  }
  template IN HTTPS . {
    answer "{{ .Name }} 60 IN HTTPS 1 . alpn=h2"
  }
  template IN AAAA . {
    rcode REFUSED
    ederror 15 "not for you"
  }
}
`;

beforeAll(async () => {
  if (!able) return;
  certificate = new TestCertificate();
  folder = new TestFolder({ Corefile: corefile(certificate) });
  host = new OwnNetwork('resolve-tls');
  weft = new WeftProcess(host, ['dns', `--conf=${folder.at('Corefile')}`]);
  await weft.ready();
});

afterAll(async () => {
  if (!able) return;
  await weft[Symbol.asyncDispose]();
  host[Symbol.dispose]();
  folder[Symbol.dispose]();
  certificate[Symbol.dispose]();
});

const resolve = (...args: string[]): Output => host.run(`${ROOT}bin/weft`, ['resolve', ...args]);
const SMALL = 'small. 60 IN A 192.0.2.1\n';

describe.runIf(able)('weft resolve speaks', () => {
  it.each<[string, string[]]>([
    ['UDP', ['--server=127.0.0.1:5300']],
    ['UDP over IPv6', ['--server=[::1]:5300']],
    ['TCP', ['--server=127.0.0.1:5300', '--tcp']],
    ['TCP over IPv6', ['--server=[::1]:5300', '--tcp']],
    ['TLS', ['--server=127.0.0.1:8853', '--tls', '--server-name=localhost']],
    ['HTTPS', ['--server=127.0.0.1:8443', '--https', '--server-name=localhost']],
  ])('%s', (_what, args) => {
    const ca = args.some((arg) => arg === '--tls' || arg === '--https')
      ? [`--ca=${certificate.certFile}`]
      : [];
    expect(resolve('small.', 'A', ...args, ...ca)).toMatchObject({ status: 0, stdout: SMALL, stderr: '' });
  });

  it('TCP when the answer over UDP was cut', () => {
    const { stdout } = resolve('big.', 'TXT', '--server=127.0.0.1:5300');
    expect(stdout).toContain('z'.repeat(250));
  });

  it('types that its UDP client does not know', () =>
    expect(resolve('web.', 'HTTPS', '--server=127.0.0.1:5300').stdout).toBe(
      'web. 60 IN HTTPS 1 . alpn="h2"\n',
    ));

  it('of the reason that the server gave', () => {
    const { status, stderr } = resolve('small.', 'AAAA', '--server=127.0.0.1:5300');
    expect(status).toBe(1);
    expect(stderr).toContain('small.: REFUSED (15 not for you): no AAAA record');
  });

  it('of what to do about a certificate that is not trusted', () => {
    const { status, stderr } = resolve('small.', 'A', '--tls', '--server=127.0.0.1:8853');
    expect(status).toBe(1);
    expect(stderr).toContain('Trust its authority with --ca FILE');
  });

  it('of nobody there', () =>
    expect(resolve('small.', 'A', '--tcp', '--server=127.0.0.1:5999').stderr).toContain(
      'no answer from 127.0.0.1:5999 over tcp: connect ECONNREFUSED',
    ));
});

it('the kernel lets the tests make namespaces', (ctx) => {
  if (!able) ctx.skip('needs root for network namespaces');
});
