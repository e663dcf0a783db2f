import type { ConnectionFacts } from '../http/exchange.ts';
import type { ClientConnection } from './client-connection.ts';

const made = new WeakMap<ClientConnection, ConnectionFacts>();

/** A client as the portable engine's functions want to know it; made once a connection. */
export function factsOf(client: ClientConnection): ConnectionFacts {
  const known = made.get(client);
  if (known) return known;
  const { address, port, listener, tls } = client;
  const facts: ConnectionFacts = {
    clientAddress: address,
    clientPort: port,
    peerAddress: address,
    localPort: listener.port,
    secure: tls !== undefined,
    tls,
    proxiedPort: undefined,
  };
  made.set(client, facts);
  return facts;
}
