import { type AddressInfo, createServer } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';

/** What node:tls says first, heard by a plain server. */
export function clientHello(options: ConnectionOptions = {}): Promise<Buffer> {
  return new Promise((resolve) => {
    const ear = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        socket.destroy();
        ear.close();
        resolve(bytes);
      });
    });
    ear.listen(0, '127.0.0.1', () => {
      const { port } = ear.address() as AddressInfo;
      connect({ host: '127.0.0.1', port, ...options }).on('error', () => {});
    });
  });
}
