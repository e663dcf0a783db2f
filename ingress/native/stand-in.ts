import net from 'node:net';
import { copyDescriptor } from '../../src/net/native/stream-listener.ts';

/**
 * Accepts the clients of a listener while its worker does not: they queue at one socket, whoever accepts them. It stands on a
 * descriptor of its own, so that the listener outlives it.
 */
export class StandIn implements Disposable {
  readonly #server: net.Server;

  /** `failed` hears why it cannot accept; clients wait in the kernel then. */
  constructor(fd: number, accepted: (socket: net.Socket) => void, failed: (reason: string) => void) {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, accepted);
    this.#server.on('error', (error) => failed(error.message));
    const own = copyDescriptor(fd);
    if (own < 0) failed(`errno ${-own}`);
    else this.#server.listen({ fd: own });
  }

  [Symbol.dispose](): void {
    this.#server.close();
  }
}
