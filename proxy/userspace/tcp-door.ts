import { createServer, type Server, type Socket } from 'node:net';
import { LISTEN_BACKLOG } from '../limits.ts';
import { admit } from './admit.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import { TcpSession } from './tcp-session.ts';

/** Listens for TCP clients of one entrance. Rejects with the bind's error. */
export async function openTcpDoor(deps: DoorDeps, options: DoorOptions): Promise<Door> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) =>
    welcome(deps, options, client),
  );
  await listening(server, options);
  server.on('error', (error) => deps.context.log.warn('accept failed', { error, key: deps.state.view.key }));
  return { refresh() {}, [Symbol.dispose]: () => void server.close() };
}

function listening(server: Server, { address, port }: DoorOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, backlog: LISTEN_BACKLOG, exclusive: true, ipv6Only: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Takes a client in, or resets it when it may not come. */
export function welcome({ context, state }: DoorDeps, { entrance }: DoorOptions, client: Socket): void {
  const clientAddress = client.remoteAddress;
  const candidates = admit({ context, state }, entrance, clientAddress);
  if (clientAddress === undefined || !candidates) {
    client.on('error', () => {}); // it is being reset; there is nobody left to tell
    client.resetAndDestroy();
    return;
  }
  new TcpSession({ context, port: state, entrance, clientAddress }, client).start(candidates);
}
