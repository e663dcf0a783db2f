// A chat over WebSocket (RFC 6455), by hand: each text message goes to everybody in the room.
import { createHash } from 'node:crypto';
import { me, sendJson, serve } from './serve.mjs';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const MESSAGE_MAX_BYTES = 64 * 1024;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const GOING_AWAY = 1001;
// Who does not answer a farewell is hung up on.
const FAREWELL_MS = 1000;

const room = new Set();

function frame(opcode, payload) {
  const body = Buffer.from(payload);
  if (body.length < 126) return Buffer.concat([Buffer.from([0x80 | opcode, body.length]), body]);
  const head = Buffer.alloc(4);
  head[0] = 0x80 | opcode;
  head[1] = 126;
  head.writeUInt16BE(Math.min(body.length, 0xffff), 2);
  return Buffer.concat([head, body.subarray(0, 0xffff)]);
}

/** The first whole frame of the bytes: undefined when more must come, false when the client breaks the rules. */
function readFrame(bytes) {
  if (bytes.length < 2) return undefined;
  const masked = (bytes[1] & 0x80) !== 0;
  let length = bytes[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    at = 4;
  }
  if (!masked || length > MESSAGE_MAX_BYTES || (bytes[1] & 0x7f) === 127) return false;
  if (bytes.length < at + 4 + length) return undefined;
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + length));
  for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i & 3];
  return { opcode: bytes[0] & 0x0f, payload, size: at + 4 + length };
}

function closing(code) {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return frame(CLOSE, payload);
}

function take(socket, { opcode, payload }) {
  if (opcode === TEXT) for (const one of room) one.write(frame(TEXT, `${me}: ${payload}`));
  if (opcode === PING) socket.write(frame(PONG, payload));
  if (opcode === CLOSE) socket.end(frame(CLOSE, payload.subarray(0, 2)));
}

const server = serve((request, response) => sendJson(response, 200, { here: room.size, servedBy: me }));

server.on('upgrade', (request, socket, head) => {
  const key = request.headers['sec-websocket-key'];
  if (!key || request.headers.upgrade?.toLowerCase() !== 'websocket') return socket.destroy();
  const accept = createHash('sha1').update(key + GUID).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  room.add(socket);
  socket.write(frame(TEXT, `welcome to ${me}`));
  let bytes = head;
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let next = readFrame(bytes); next !== undefined; next = readFrame(bytes)) {
      if (next === false) return socket.destroy();
      bytes = bytes.subarray(next.size);
      take(socket, next);
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => room.delete(socket));
});

server.on('stopping', () => {
  for (const socket of room) socket.end(closing(GOING_AWAY));
  setTimeout(() => {
    for (const socket of room) socket.destroy();
  }, FAREWELL_MS);
});
