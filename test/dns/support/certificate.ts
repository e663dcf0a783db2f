import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A self-signed certificate for localhost in files of its own. */
export class TestCertificate implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'weft-dns-cert-'));
  readonly certFile = join(this.#folder, 'cert.pem');
  readonly keyFile = join(this.#folder, 'key.pem');
  readonly ca: string;

  constructor() {
    const words =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost ' +
      '-addext subjectAltName=DNS:localhost,IP:127.0.0.1';
    const files = ['-out', this.certFile, '-keyout', this.keyFile];
    execFileSync('openssl', [...words.split(' '), ...files], { stdio: 'ignore' });
    this.ca = readFileSync(this.certFile, 'utf8');
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}
