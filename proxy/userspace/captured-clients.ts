import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { joinHostPort, type Family } from '../../src/net/ip.ts';
import { originalDestination } from '../../src/net/original-destination.ts';
import { LISTEN_BACKLOG } from '../limits.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import { welcome } from './tcp-door.ts';

interface Captured {
  readonly deps: DoorDeps;
  readonly options: DoorOptions;
}

/** Takes the clients that the kernel redirects here, and finds the door that each was going to. */
export class CapturedClients {
  readonly #doors = new Map<string, Captured>();

  open(deps: DoorDeps, options: DoorOptions): Door {
    const id = joinHostPort(options.address, options.port);
    this.#doors.set(id, { deps, options });
    return { refresh() {}, [Symbol.dispose]: () => void this.#doors.delete(id) };
  }

  async listen(family: Family): Promise<{ readonly port: number } & Disposable> {
    const server = await listening((client) => this.#welcome(client), family);
    const { port } = server.address() as AddressInfo;
    return { port, [Symbol.dispose]: () => void server.close() };
  }

  /** Who was not redirected has no business here. */
  #welcome(client: Socket): void {
    const wanted = originalDestination(client);
    const captured = wanted && this.#doors.get(joinHostPort(wanted.address, wanted.port));
    if (captured) return welcome(captured.deps, captured.options, client);
    client.on('error', () => {}); // it is being reset
    client.resetAndDestroy();
  }
}

function listening(onClient: (client: Socket) => void, family: Family): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, onClient);
  const host = family === 'IPv4' ? '0.0.0.0' : '::';
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port: 0, backlog: LISTEN_BACKLOG, exclusive: true, ipv6Only: true }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
