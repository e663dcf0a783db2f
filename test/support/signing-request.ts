import { execFileSync } from 'node:child_process';

/**
 * A PKCS#10 request by openssl with a new key that nobody keeps, in PEM and base64 as signing requests carry it.
 * @param subject `/CN=...`
 * @param extensions as -addext takes them: `subjectAltName=DNS:...`
 */
export function signingRequest(subject: string, ...extensions: string[]): string {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  const added = extensions.flatMap((one) => ['-addext', one]);
  const pem = execFileSync('openssl', ['req', '-new', ...key, '-subj', subject, ...added], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return pem.toString('base64');
}
