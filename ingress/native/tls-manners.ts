import { randomBytes } from 'node:crypto';
import { TICKET_KEYS_BYTES } from '../../src/net/native/tls-context.ts';
import { checkedBy } from '../access/client-certificate.ts';
import type { ServerTls } from '../certificates/server-names.ts';
import type { SentTls } from './tls-messages.ts';

/** The ways of speaking TLS that workers have been told, each with ticket keys of its own, for as long as it is in use. */
export class TlsManners {
  readonly #sent = new WeakMap<ServerTls, SentTls>();
  #count = 0;

  of(server: ServerTls): SentTls {
    const known = this.#sent.get(server);
    if (known) return known;
    const { pair } = server.certificate;
    const { minVersion, ciphers, requestCert } = server.options;
    const { clientCertificate, clientCa = '' } = server;
    const asked = requestCert === true ? clientCertificate : undefined;
    const made: SentTls = {
      id: ++this.#count,
      cert: pair.cert,
      key: pair.key,
      minVersion: minVersion === 'TLSv1.3' ? minVersion : 'TLSv1.2',
      ciphers,
      ticketKeys: randomBytes(TICKET_KEYS_BYTES),
      clientAuthority: clientCertificate?.secret,
      checkedBy: clientCertificate && checkedBy(clientCa, clientCertificate),
      clients: asked && { authorities: clientCa, depthMax: asked.depthMax },
    };
    this.#sent.set(server, made);
    return made;
  }
}
