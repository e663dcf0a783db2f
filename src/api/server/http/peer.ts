import type { TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';
import type { PeerIdentity } from './request.ts';

const known = new WeakMap<object, PeerIdentity>();

/** The client certificate's user: CN is the name, each O a group. Looked at once a connection. */
export function peerOf(socket: Socket | TLSSocket): PeerIdentity {
  let peer = known.get(socket);
  if (!peer) {
    peer = identify(socket);
    known.set(socket, peer);
  }
  return peer;
}

function identify(socket: Socket | TLSSocket): PeerIdentity {
  const address = socket.remoteAddress ?? '';
  // A session's socket is a proxy: it answers reads, not `in`.
  if (!isTls(socket)) return { certificate: undefined, rejectedCertificate: undefined, address };
  const certificate = socket.getPeerCertificate();
  if (!certificate?.subject) return { certificate: undefined, rejectedCertificate: undefined, address };
  if (!socket.authorized) {
    return { certificate: undefined, rejectedCertificate: String(socket.authorizationError), address };
  }
  const { CN, O } = certificate.subject as { CN?: string | string[]; O?: string | string[] };
  const username = Array.isArray(CN) ? CN.at(-1) : CN;
  if (!username) return { certificate: undefined, rejectedCertificate: 'no common name', address };
  const groups = O === undefined ? [] : Array.isArray(O) ? O : [O];
  const extra = { [CREDENTIAL_ID]: [`X509SHA256=${hexOf(certificate.fingerprint256)}`] };
  return { certificate: { username, groups, extra }, rejectedCertificate: undefined, address };
}

/** Tells in audit logs and reviews which of a user's certificates was shown. */
const CREDENTIAL_ID = 'authentication.kubernetes.io/credential-id';

/** `AB:CD:...` as `abcd...`. */
const hexOf = (fingerprint: string): string => fingerprint.replaceAll(':', '').toLowerCase();

function isTls(socket: Socket | TLSSocket): socket is TLSSocket {
  return typeof (socket as Partial<TLSSocket>).getPeerCertificate === 'function';
}
