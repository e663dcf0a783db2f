import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { encodeMessage } from '../../dns/wire/encode.ts';
import { frame } from '../../dns/server/framing.ts';
import { questionOf } from '../dns/support/server.ts';
import type { Address, SoakWorld } from './soak-world.ts';

/** What clients do to a server that runs for long; each call is one of them, in turn. */
export function mischief(world: SoakWorld): (round: number) => void {
  const question = frame(encodeMessage(questionOf('echo.shop.svc.cluster.local A')));
  const slow = frame(encodeMessage(questionOf('cluster.local SOA')));
  const request = Buffer.from(
    'POST /soak HTTP/1.1\r\nHost: soak.test\r\nContent-Length: 64\r\n\r\nhalf of it',
  );
  const targets: readonly (readonly [Address, Uint8Array])[] = [
    [world.dns, question],
    [world.dns, slow],
    [world.http, request],
    [world.tcp, Buffer.alloc(4_096, 'r')],
  ];
  const kinds: readonly ((round: number) => void)[] = [
    // cut at every offset of what it says
    (round) => {
      for (const [at, bytes] of targets) cut(at, bytes.subarray(0, round % (bytes.length + 1)), 'reset');
    },
    (round) => {
      for (const [at, bytes] of targets) cut(at, bytes.subarray(0, round % (bytes.length + 1)), 'end');
    },
    // gone before anybody accepted it
    () => {
      for (const [at] of targets) cut(at, new Uint8Array(0), 'reset');
    },
    (round) => garbage(world.dns, round),
    () => cut(world.http, Buffer.from('NONSENSE\r\n\r\n'), 'end'),
    () => cut(world.http, Buffer.from('GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n'), 'end'),
    (round) => world.change(round),
  ];
  return (round) => kinds[round % kinds.length]!(Math.floor(round / kinds.length));
}

function cut({ host, port }: Address, bytes: Uint8Array, how: 'reset' | 'end'): void {
  const socket = connect({ host, port }, () => {
    socket.write(bytes, () => (how === 'reset' ? socket.resetAndDestroy() : socket.end()));
  });
  socket.on('error', () => {});
  socket.resume();
  socket.setTimeout(5_000, () => socket.destroy());
}

function garbage({ host, port }: Address, round: number): void {
  const socket = createSocket('udp4');
  const bytes = Uint8Array.from({ length: round % 600 }, (_, i) => (round * 31 + i * 17) & 0xff);
  socket.send(bytes, port, host, () => socket.close());
}
