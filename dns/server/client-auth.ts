import type { TlsFiles } from '../block-settings.ts';

/** Whether a client may ask, by the certificate it gave: Go's ClientAuthType in CoreDNS's words. */
export function mayAsk(
  clientAuth: TlsFiles['clientAuth'],
  { given, trusted }: { readonly given: boolean; readonly trusted: boolean },
): boolean {
  switch (clientAuth) {
    case 'nocert':
    case 'request':
      return true;
    case 'require':
      return given;
    case 'verify_if_given':
      return !given || trusted;
    case 'require_and_verify':
      return given && trusted;
  }
}
