import { X509Certificate } from 'node:crypto';
import type net from 'node:net';
import tls from 'node:tls';
import type { Certificate } from '../certificates/certificate-store.ts';
import { checkedBy } from '../access/client-certificate.ts';
import { clientFacts } from '../certificates/client-facts.ts';
import type { ClientHello } from '../certificates/client-hello.ts';
import type { OcspAnswer } from '../certificates/ocsp-stapler.ts';
import type { ServerTls } from '../certificates/server-names.ts';
import type { ClientCertificate, TlsFacts } from '../http/exchange.ts';
import { TLS_HANDSHAKE_MS } from '../limits.ts';

type Done = (socket: tls.TLSSocket, facts: TlsFacts) => void;

interface Pending {
  readonly hello: ClientHello;
  readonly server: ServerTls;
  readonly done: Done;
}

/**
 * Runs TLS handshakes on sockets somebody else accepted. One tls.Server that never listens stands behind each way
 * of speaking TLS (certificate, versions, client certificates), so each keeps its own session tickets.
 */
export class TlsAcceptor {
  readonly #servers = new WeakMap<ServerTls, tls.Server>();
  readonly #pending = new Map<string, Pending>();
  readonly #refused: (reason: string) => void;
  readonly #staple: (certificate: Certificate) => OcspAnswer | undefined;

  /** `staple` gives the OCSP answer to show with a certificate. */
  constructor(
    refused: (reason: string) => void,
    staple: (certificate: Certificate) => OcspAnswer | undefined,
  ) {
    this.#refused = refused;
    this.#staple = staple;
  }

  accept(socket: net.Socket, server: ServerTls, hello: ClientHello, done: Done): void {
    const key = connectionKey(socket);
    this.#pending.set(key, { hello, server, done });
    socket.once('close', () => this.#pending.delete(key));
    socket.on('error', () => {}); // the TLS socket above reports it
    this.#serverFor(server).emit('connection', socket);
  }

  #serverFor(how: ServerTls): tls.Server {
    const known = this.#servers.get(how);
    if (known) return known;
    const made = tls.createServer({ ...how.options, handshakeTimeout: TLS_HANDSHAKE_MS });
    made.on('secureConnection', (secured) => this.#secured(secured));
    made.on('OCSPRequest', (_leaf, _issuer, answer) => {
      const staple = this.#staple(how.certificate);
      answer(null, staple ? Buffer.from(staple.bytes) : null);
    });
    made.on('tlsClientError', (error, secured) => {
      this.#refused(`tls: ${error.message}`);
      secured.destroy();
    });
    this.#servers.set(how, made);
    return made;
  }

  #secured(socket: tls.TLSSocket): void {
    const key = connectionKey(socket);
    const pending = this.#pending.get(key);
    this.#pending.delete(key);
    if (!pending) return void socket.destroy();
    const { clientCertificate, clientCa } = pending.server;
    pending.done(socket, {
      serverName: pending.hello.serverName,
      protocol: socket.getProtocol() ?? '',
      cipher: socket.getCipher()?.name ?? '',
      client: pending.server.options.requestCert === true ? shown(socket, pending.server) : undefined,
      clientAuthority: clientCertificate?.secret,
      checkedBy: clientCertificate && checkedBy(clientCa, clientCertificate),
    });
  }
}

/** The same for a socket and for the TLS socket around it, and unique while it is open. */
function connectionKey(socket: net.Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}

function shown(socket: tls.TLSSocket, { clientCertificate, clientCa = '' }: ServerTls): ClientCertificate {
  const certificate = socket.getPeerX509Certificate();
  if (!socket.authorized) return clientFacts(certificate, String(socket.authorizationError));
  // node:tls does not show a server what stands between: only that something does
  const tooLong = clientCertificate?.depthMax === 0 && !!certificate && !isDirect(certificate, clientCa);
  return clientFacts(certificate, tooLong ? 'CERT_CHAIN_TOO_LONG' : undefined);
}

/** One of the authorities has issued the certificate, or is it. */
function isDirect(certificate: X509Certificate, authorities: string): boolean {
  const each = authorities.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return each.some((pem) => {
    const authority = new X509Certificate(pem);
    if (authority.fingerprint256 === certificate.fingerprint256) return true;
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  });
}
