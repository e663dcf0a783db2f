import net from 'node:net';
import tls from 'node:tls';

/** WEFT_INGRESS_WAY=tls: what a suite says plainly it says over TLS. */
export const isSecure = (): boolean => process.env['WEFT_INGRESS_WAY'] === 'tls';

/** A connection that HTTP/1.1 is spoken on. */
export function dial(port: number, connected?: () => void): net.Socket {
  if (!isSecure()) return net.connect({ port, host: '127.0.0.1', noDelay: true }, connected);
  const raw = net.connect({ port, host: '127.0.0.1', noDelay: true });
  raw.on('error', () => {});
  const socket = tls.connect(
    { socket: raw, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] },
    connected,
  );
  // one that is destroyed before it is connected leaves this one behind
  socket.once('close', () => raw.destroy());
  // a TLS socket has no reset of its own
  socket.resetAndDestroy = () => {
    raw.resetAndDestroy();
    return socket.destroy();
  };
  return socket;
}
