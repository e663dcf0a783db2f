import type net from 'node:net';
import { waitFor } from '../../support/wait-for.ts';
import { Backend } from './backend.ts';
import { ask } from './client.ts';
import { dial, isSecure } from './dial.ts';
import { block, Frame, frame, plainRequest, PREFACE } from './frames.ts';
import { ingress, service } from './objects.ts';
import { Rig } from './rig.ts';

export interface FuzzResult {
  /** Requests that reached the backend. */
  readonly reached: number;
  /** Connections on which anything was answered. */
  readonly answered: number;
}

const AT_ONCE = 16;
/** A request that breaks off, and methods and bytes in targets that Node's server does not know: no doubt about where it ends. */
const HARMLESS = new Set([
  'ECONNRESET',
  'EPIPE',
  'HPE_INVALID_EOF_STATE',
  'HPE_INVALID_METHOD',
  'HPE_INVALID_URL',
]);
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: web.test\r\n\r\n';

/** Well-formed connections that are then damaged. */
const SEEDS: readonly Buffer[] = [
  `GET / HTTP/1.1\r\nHost: web.test\r\nX-A: b\r\n\r\n`,
  `POST /p HTTP/1.1\r\nHost: web.test\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  `POST /c HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)};x=y\r\n${SMUGGLED}\r\n0\r\nX-T: 1\r\n\r\n`,
  `DELETE /d HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`,
  `GET http://web.test/x HTTP/1.1\r\nHost: web.test\r\nConnection: keep-alive, X-Drop\r\nX-Drop: 1\r\n\r\n`.repeat(
    3,
  ),
  `PUT /e HTTP/1.1\r\nHost: web.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
  `GET /ws HTTP/1.1\r\nHost: web.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n${SMUGGLED}`,
  `HEAD / HTTP/1.0\r\nHost: web.test\r\nConnection: keep-alive\r\n\r\n`,
]
  .map((text) => Buffer.from(text, 'latin1'))
  .concat(
    Buffer.concat([
      PREFACE,
      frame(Frame.SETTINGS, 0, 0),
      frame(Frame.HEADERS, 4, 1, block(...plainRequest('/h2', 'POST'), ['content-length', '5'])),
      frame(Frame.DATA, 1, 1, Buffer.from('hello')),
      frame(Frame.HEADERS, 5, 3, block(...plainRequest('/h2b'), ['cookie', 'a=b'], ['te', 'trailers'])),
      frame(Frame.PING, 0, 0, Buffer.alloc(8)),
      frame(Frame.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 1, 0])),
      frame(Frame.RST_STREAM, 0, 3, Buffer.from([0, 0, 0, 8])),
    ]),
  );

const SPLICES = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  'ffffffff',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: evil.test\r\n',
  'Content-Length',
  '\r\n\r\n',
  SMUGGLED,
  '%2e%2e/',
  'é',
];

class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  next(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }
}

function damage(dice: Dice): Buffer {
  let bytes = Buffer.from(SEEDS[dice.next(SEEDS.length)]!);
  for (let change = dice.next(4); change >= 0; change--) {
    const at = dice.next(bytes.length + 1);
    switch (dice.next(5)) {
      case 0:
        bytes[at % bytes.length] = dice.next(256);
        break;
      case 1:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from(SPLICES[dice.next(SPLICES.length)]!, 'latin1'),
          bytes.subarray(at),
        ]);
        break;
      case 2:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          bytes.subarray(Math.min(bytes.length, at + 1 + dice.next(12))),
        ]);
        break;
      case 3:
        bytes = Buffer.concat([bytes, SEEDS[dice.next(SEEDS.length)]!]);
        break;
      default: {
        const end = Math.min(bytes.length, at + dice.next(30));
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
      }
    }
    if (bytes.length === 0) bytes = Buffer.from('\r\n');
  }
  return bytes;
}

/** Sends it in a few pieces and half-closes; resolves when the server has closed. */
function deliver(port: number, bytes: Buffer, dice: Dice): Promise<boolean> {
  const cuts = [dice.next(bytes.length + 1), dice.next(bytes.length + 1)].sort((a, b) => a - b);
  return new Promise((resolve) => {
    let answered = false;
    const socket = dial(port, () => {
      socket.write(bytes.subarray(0, cuts[0]));
      setImmediate(() => {
        socket.write(bytes.subarray(cuts[0], cuts[1]));
        setImmediate(() => socket.end(bytes.subarray(cuts[1])));
      });
    });
    socket.on('data', () => (answered = true));
    socket.on('error', () => {}); // the server need not be polite
    socket.on('close', () => resolve(answered));
  });
}

/**
 * Damaged connections against a running ingress. Throws when the backend gets anything that we did not send as a
 * request of ours (a smuggled one lacks the fields we add), or bytes it cannot read, or when the ingress stops
 * answering.
 */
export async function fuzzIngress(connections: number, seed: number): Promise<FuzzResult> {
  const faults: string[] = [];
  let reached = 0;
  await using backend = await Backend.open(({ method, target, headers }, response) => {
    reached++;
    if (headers['x-scheme'] !== (isSecure() ? 'https' : 'http') || headers['x-real-ip'] !== '127.0.0.1')
      faults.push(`${method} ${target} came past the ingress`);
    response.end('ok');
    backend.received.length = 0;
  });
  backend.server.on(
    'clientError',
    (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: net.Socket) => {
      // a request that breaks off is ended with its connection
      if (!HARMLESS.has(error.code ?? ''))
        faults.push(
          `the backend could not read ${JSON.stringify(error.rawPacket?.toString('latin1'))}: ${error.code}`,
        );
      socket.destroy();
    },
  );
  await using rig = await Rig.open([...service('web', backend.endpoint), ingress()]);
  const dice = new Dice(seed);
  let left = connections;
  let answered = 0;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const bytes = damage(dice);
      if (await deliver(rig.http, bytes, dice)) answered++;
      if (faults.length > 0)
        throw new Error(`seed ${seed}: ${faults.join('; ')}: ${JSON.stringify(bytes.toString('latin1'))}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if ((await ask(rig.http)).status !== 200) throw new Error(`seed ${seed}: no answer any more`);
  await waitFor('connections to the backend to be idle or gone', () => backend.sockets.size <= 320);
  return { reached, answered };
}
