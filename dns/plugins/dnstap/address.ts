import { joinHostPort } from '../../../src/net/ip.ts';

/** Where a receiver of dnstap is, or where we wait for one. */
export type TapAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number };

/** For people. */
export function labelOf(at: TapAddress): string {
  return at.kind === 'unix' ? at.path : `${at.kind}://${joinHostPort(at.host, at.port)}`;
}
