import { Buffer } from 'node:buffer';
import type { KeyAndCertificate } from './certificate.ts';

/** A kubeconfig (YAML) that holds everything in itself. */
export function kubeconfigText(options: {
  readonly server: string;
  readonly caPem: string;
  readonly user: string;
  readonly credentials: KeyAndCertificate | { readonly token: string };
}): string {
  const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
  const { credentials } = options;
  const user =
    'token' in credentials
      ? `    token: ${credentials.token}\n`
      : `    client-certificate-data: ${base64(credentials.certificatePem)}\n    client-key-data: ${base64(credentials.keyPem)}\n`;
  return `apiVersion: v1
kind: Config
clusters:
- name: weft
  cluster:
    server: ${options.server}
    certificate-authority-data: ${base64(options.caPem)}
users:
- name: ${options.user}
  user:
${user}contexts:
- name: weft
  context:
    cluster: weft
    user: ${options.user}
current-context: weft
`;
}
