/**
 * Reads the server name and the offered protocols out of a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066
 * section 3, RFC 7301) before any TLS state exists: to choose certificate, client certificate rules or passthrough.
 */
export interface ClientHello {
  /** Lower case; undefined when the client sent none. */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;

/** undefined = more bytes are needed; a string says why these bytes are no ClientHello. */
export function readClientHello(bytes: Buffer): ClientHello | string | undefined {
  const message = joinRecords(bytes);
  if (message === undefined || typeof message === 'string') return message;
  const at = { offset: 4 + 2 + 32 };
  if (message.length < at.offset + 1) return 'short ClientHello';
  at.offset += 1 + message[at.offset]!;
  if (at.offset + 2 > message.length) return 'short ClientHello';
  at.offset += 2 + message.readUInt16BE(at.offset);
  if (at.offset + 1 > message.length) return 'short ClientHello';
  at.offset += 1 + message[at.offset]!;
  if (at.offset === message.length) return { serverName: undefined, alpn: [] };
  if (at.offset + 2 > message.length) return 'short ClientHello';
  const end = at.offset + 2 + message.readUInt16BE(at.offset);
  if (end > message.length) return 'short ClientHello';
  return readExtensions(message.subarray(at.offset + 2, end));
}

/** The handshake message put together from its records. */
function joinRecords(bytes: Buffer): Buffer | string | undefined {
  const parts: Buffer[] = [];
  let have = 0;
  let need = 4;
  for (let at = 0; have < need;) {
    if (bytes.length > at && bytes[at] !== HANDSHAKE) return 'not a TLS handshake';
    if (bytes.length < at + 5) return undefined;
    if (bytes[at + 1] !== 3) return 'not a TLS handshake';
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > 16_384) return 'bad TLS record length';
    const part = bytes.subarray(at + 5, at + 5 + length);
    if (part.length === 0) return undefined;
    parts.push(part);
    have += part.length;
    if (have >= 4 && need === 4) {
      const head = parts.length === 1 ? part : Buffer.concat(parts);
      if (head[0] !== CLIENT_HELLO) return 'not a ClientHello';
      need = 4 + head.readUIntBE(1, 3);
      if (need > 64 * 1024) return 'ClientHello too large';
    }
    if (part.length < length && have < need) return undefined;
    at += 5 + length;
  }
  return Buffer.concat(parts).subarray(0, need);
}

function readExtensions(bytes: Buffer): ClientHello | string {
  let serverName: string | undefined;
  let alpn: string[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const type = bytes.readUInt16BE(at);
    const end = at + 4 + bytes.readUInt16BE(at + 2);
    if (end > bytes.length) return 'short ClientHello extension';
    const body = bytes.subarray(at + 4, end);
    if (type === EXTENSION_SERVER_NAME) serverName = readServerName(body);
    else if (type === EXTENSION_ALPN) alpn = readProtocols(body);
    at = end;
  }
  return { serverName, alpn };
}

function readServerName(body: Buffer): string | undefined {
  for (let at = 2; at + 3 <= body.length;) {
    const length = body.readUInt16BE(at + 1);
    if (at + 3 + length > body.length) return undefined;
    if (body[at] === 0) {
      const name = body.toString('latin1', at + 3, at + 3 + length).toLowerCase();
      return /^[a-z0-9_.-]+$/.test(name) ? name.replace(/\.$/, '') : undefined;
    }
    at += 3 + length;
  }
  return undefined;
}

function readProtocols(body: Buffer): string[] {
  const protocols: string[] = [];
  for (let at = 2; at < body.length;) {
    const length = body[at]!;
    protocols.push(body.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return protocols;
}
