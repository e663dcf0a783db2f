import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Fields } from '../../ingress/http/fields.ts';
import { H1ClientConnection } from '../../ingress/http/h1-client.ts';
import type { UpstreamHandler } from '../../ingress/upstream/stream.ts';
import { deafHandler, type Wire } from '../../ingress/wire.ts';

/** A wire on which the test is the endpoint. */
class ScriptedWire implements Wire {
  handler = deafHandler;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 80;
  readonly localPort = 0;
  readonly pendingBytes = 0;
  closed = false;
  paused = false;
  sent = '';

  write(data: Uint8Array | string): boolean {
    this.sent += String(data);
    return true;
  }
  finish(): void {}
  destroy(): void {
    this.closed = true;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  detach(): PassThrough {
    return new PassThrough();
  }
}

const request = {
  method: 'GET',
  target: '/',
  authority: 'web.test',
  scheme: 'http',
  fields: new Fields(),
  bodyLength: 0,
  upgrade: undefined,
  version: 11,
  close: false,
} as const;

test('a connection paused by the last bytes of an answer is read again before it is kept', () => {
  const wire = new ScriptedWire();
  const kept: boolean[] = [];
  const connection = new H1ClientConnection(wire, {
    released: () => kept.push(wire.paused),
    dropped: () => expect.fail('dropped'),
  });
  const heard: string[] = [];
  const handler: UpstreamHandler = {
    upstreamConnected() {},
    upstreamInterim() {},
    upstreamHead: ({ status }) => void heard.push(String(status)),
    upstreamData(bytes) {
      heard.push(bytes.toString());
      connection.pause();
    },
    upstreamFlush() {},
    upstreamEnd: () => void heard.push('end'),
    upstreamFailed: (failure) => void heard.push(failure),
    upstreamDrained() {},
    upstreamSwitched() {},
  };
  connection.connectionMade();
  connection.open(request, handler);
  connection.sendEnd(undefined);
  wire.handler.wireData(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody'));
  expect(heard).toEqual(['200', 'body', 'end']);
  expect(kept).toEqual([false]);
  expect(wire.paused).toBe(false);
});
