import { Fault } from '../base/fault.ts';
import { lastErrno, socketCalls } from './libc.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;
/** sun_path of sockaddr_un, unix(7). */
const PATH_BYTES_MAX = 108;

/**
 * Sends one datagram to a unix socket and never waits. A path that begins with `@` is in the abstract namespace
 * (unix(7)). Throws Fault UNIX_DATAGRAM when nobody took it.
 */
export function sendUnixDatagram(path: string, text: string): void {
  const { socket, sendto, close } = socketCalls();
  const name = Buffer.from(path);
  if (name.length === 0 || name.length >= PATH_BYTES_MAX)
    throw new Fault('UNIX_DATAGRAM', `${path} is no path of a unix socket`);
  if (name[0] === '@'.charCodeAt(0)) name[0] = 0;
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new Fault('UNIX_DATAGRAM', `no socket for ${path}: ${lastErrno()}`);
  const family = new Uint8Array(Uint16Array.of(AF_UNIX).buffer); // in the host's byte order
  // a path ends with a zero byte, an abstract name where its length says
  const end = name[0] === 0 ? Buffer.alloc(0) : Buffer.alloc(1);
  const address = Buffer.concat([family, name, end]);
  const data = Buffer.from(text);
  const sent = sendto(fd, data, data.length, MSG_NOSIGNAL | MSG_DONTWAIT, address, address.length);
  const errno = sent < 0 ? lastErrno() : undefined;
  close(fd);
  if (errno !== undefined) throw new Fault('UNIX_DATAGRAM', `${path}: ${errno}`);
}
