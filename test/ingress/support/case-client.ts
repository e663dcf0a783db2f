import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import type tls from 'node:tls';
import type { CaseRequest, Outcome } from './case-types.ts';

export interface IngressAddress {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** When nothing more comes after a complete answer for so long, nothing will. */
const QUIET_MS = 400;
const ANSWER_MS_MAX = 20_000;

/** Sends a case's request once; `n` is its number in a series. */
export async function send(request: CaseRequest, ingress: IngressAddress, n: number): Promise<Outcome> {
  const host = request.clientIp?.includes(':') ? ingress.ipv6 : ingress.ipv4;
  if (request.raw !== undefined) return await sendRaw(request, host, request.raw);
  if (request.proxyProtocol !== undefined) {
    return await sendRaw(request, host, `${request.proxyProtocol}\r\n${plainText(request)}`);
  }
  if (request.httpVersion === '1.0') return await sendRaw(request, host, plainText(request));
  if (request.httpVersion === '2') return await sendH2(request, host, n);
  return await sendH1(request, host, n);
}

function plainText(request: CaseRequest): string {
  const version = request.httpVersion === '1.0' ? '1.0' : '1.1';
  const hostLine = request.host === '' ? '' : `Host: ${request.host}\r\n`;
  const extra = Object.entries(request.headers ?? {})
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return `${request.method} ${request.path} HTTP/${version}\r\n${hostLine}${extra}Connection: close\r\n\r\n`;
}

const empty = {
  statuses: [],
  interim: [],
  headers: {},
  body: '',
  closed: false,
  aborted: false,
  certificate: undefined,
};

function sendH1(request: CaseRequest, host: string, n: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const interim: number[] = [];
    let certificate: string | undefined;
    const secure = request.tls !== undefined;
    const sent = (secure ? https : http).request({
      host,
      port: secure ? 443 : 80,
      method: request.method ?? 'GET',
      path: (request.path ?? '/').replace('{n}', String(n)),
      headers: {
        ...request.headers,
        host: request.host ?? '',
        ...(request.body && !request.body.chunked && { 'content-length': String(request.body.bytes) }),
      },
      agent: false,
      setHost: false,
      rejectUnauthorized: false,
      ...(request.clientIp !== undefined && { localAddress: request.clientIp }),
      ...(request.tls && { servername: request.tls.sni ?? '' }),
    } as https.RequestOptions);
    sent.on('socket', (socket) =>
      socket.once(
        'secureConnect',
        () => (certificate = (socket as tls.TLSSocket).getPeerX509Certificate()?.subjectAltName),
      ),
    );
    sent.on('information', (info) => interim.push(info.statusCode));
    const done = (outcome: Partial<Outcome>): void => resolve({ ...empty, interim, certificate, ...outcome });
    sent.on('upgrade', (response, socket) => {
      socket.destroy();
      done({ statuses: [101], headers: plainHeaders(response.headers) });
    });
    sent.on('response', (response) => {
      let body = '';
      const head = { statuses: [response.statusCode ?? 0], headers: plainHeaders(response.headers) };
      response.on('data', (bytes: Buffer) => (body += bytes.toString()));
      response.on('end', () => done({ ...head, body }));
      response.on('error', () => done({ ...head, body, aborted: true }));
    });
    sent.on('error', () => done({ closed: true, aborted: true }));
    if (request.clientAbortsAfterMs !== undefined)
      setTimeout(() => sent.destroy(), request.clientAbortsAfterMs);
    sent.end(request.body ? Buffer.alloc(request.body.bytes, 120) : undefined);
  });
}

function sendH2(request: CaseRequest, host: string, n: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const secure = request.tls !== undefined;
    const session = http2.connect(
      `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}`,
      {
        rejectUnauthorized: false,
        ...(request.tls?.sni && { servername: request.tls.sni }),
        ...(request.clientIp !== undefined && { localAddress: request.clientIp }),
      } as http2.SecureClientSessionOptions,
    );
    const finish = (outcome: Partial<Outcome>): void => {
      session.destroy();
      resolve({ ...empty, ...outcome });
    };
    session.on('error', () => finish({ closed: true, aborted: true }));
    const forbidden = request.h2Headers?.some(
      ([name]) => name === 'connection' || name === 'transfer-encoding',
    );
    if (forbidden) return sendForbiddenH2(host, request, finish);
    const headers: http2.OutgoingHttpHeaders = {
      ':method': request.method ?? 'GET',
      ':path': (request.path ?? '/').replace('{n}', String(n)),
      ':authority': request.host ?? '',
      ...request.headers,
      ...(request.body &&
        !request.body.chunked &&
        !request.h2Headers && { 'content-length': String(request.body.bytes) }),
    };
    for (const [name, value] of request.h2Headers ?? []) {
      headers[name] = headers[name] === undefined ? value : ([headers[name], value].flat() as string[]);
    }
    const stream = session.request(headers, { endStream: !request.body });
    let head: Partial<Outcome> = {};
    let body = '';
    stream.on(
      'response',
      (response) => (head = { statuses: [Number(response[':status'])], headers: plainHeaders(response) }),
    );
    stream.on('data', (bytes: Buffer) => (body += bytes.toString()));
    stream.on('error', () => finish({ ...head, body, aborted: true }));
    stream.on('close', () =>
      finish({ ...head, body, aborted: stream.rstCode !== 0 && stream.rstCode !== 8 }),
    );
    if (request.body) stream.end(Buffer.alloc(request.body.bytes, 120));
  });
}

const HEADERS = 1;
const RST_STREAM = 3;
const GOAWAY = 7;

function frameTypes(bytes: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) types.push(bytes[at + 3]!);
  return types;
}

/** node:http2 refuses to send connection-specific fields, so the frames are written by hand (literal, never indexed). */
function sendForbiddenH2(
  host: string,
  request: CaseRequest,
  finish: (outcome: Partial<Outcome>) => void,
): void {
  const field = (name: string, value: string): Buffer =>
    Buffer.concat([
      Buffer.of(0x10, name.length),
      Buffer.from(name),
      Buffer.of(value.length),
      Buffer.from(value),
    ]);
  const block = Buffer.concat([
    field(':method', request.method ?? 'GET'),
    field(':scheme', 'http'),
    field(':path', request.path ?? '/'),
    field(':authority', request.host ?? ''),
    ...(request.h2Headers ?? []).map(([name, value]) => field(name, value)),
  ]);
  const head = Buffer.from([0, block.length >> 8, block.length & 255, 1, 5, 0, 0, 0, 1]);
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const socket = net.connect(80, host, () => {
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings, head, block]));
  });
  const done = (aborted: boolean): void => {
    clearTimeout(timer);
    socket.destroy();
    finish({ aborted, closed: true });
  };
  const timer = setTimeout(() => done(false), ANSWER_MS_MAX);
  const chunks: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => {
    chunks.push(bytes);
    const types = frameTypes(Buffer.concat(chunks));
    if (types.includes(RST_STREAM) || types.includes(GOAWAY)) done(true);
    else if (types.includes(HEADERS)) done(false);
  });
  socket.on('error', () => {});
  socket.on('close', () => done(false));
}

function sendRaw(request: CaseRequest, host: string, text: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = net.connect({
      host,
      port: 80,
      ...(request.clientIp !== undefined && { localAddress: request.clientIp }),
    });
    const chunks: Buffer[] = [];
    let closed = false;
    let finished = false;
    let more = request.thenSend;
    const finish = (): void => {
      if (finished) return;
      finished = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ ...empty, ...parseResponses(Buffer.concat(chunks)), closed });
    };
    let timer = setTimeout(finish, ANSWER_MS_MAX);
    socket.on('data', (bytes: Buffer) => {
      chunks.push(bytes);
      const { statuses, interim } = parseResponses(Buffer.concat(chunks));
      if (more !== undefined && interim!.length > 0) {
        socket.write(more);
        more = undefined;
      }
      if (statuses!.length === 0) return;
      clearTimeout(timer);
      timer = setTimeout(finish, QUIET_MS);
    });
    socket.on('error', () => {});
    socket.on('end', () => (closed = true));
    socket.on('close', () => {
      closed = true;
      finish();
    });
    socket.write(Buffer.from(text, 'latin1'));
  });
}

/** Final and informational statuses, and the fields of the first final response, of raw HTTP/1.1 bytes. */
function parseResponses(bytes: Buffer): Partial<Outcome> {
  const statuses: number[] = [];
  const interim: number[] = [];
  let headers: Record<string, string> = {};
  let body = '';
  let rest = bytes.toString('latin1');
  while (rest.startsWith('HTTP/1.')) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const lines = rest.slice(0, end).split('\r\n');
    const status = Number(lines[0]!.split(' ')[1]);
    const fields = Object.fromEntries(
      lines
        .slice(1)
        .map((line) => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 1).trim(),
        ]),
    );
    rest = rest.slice(end + 4);
    if (status < 200 && status !== 101) {
      interim.push(status);
      continue;
    }
    if (statuses.length === 0) headers = fields;
    statuses.push(status);
    const length = Number(fields['content-length'] ?? Number.NaN);
    const chunkedEnd = fields['transfer-encoding'] === 'chunked' ? rest.indexOf('0\r\n\r\n') + 5 : undefined;
    const take = chunkedEnd ?? (Number.isNaN(length) ? rest.length : length);
    body += rest.slice(0, take);
    rest = rest.slice(take);
  }
  return { statuses, interim, headers, body };
}

function plainHeaders(
  headers: http.IncomingHttpHeaders | http2.IncomingHttpHeaders,
): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter(
      (entry): entry is [string, string | string[]] => entry[1] !== undefined && !entry[0].startsWith(':'),
    ),
  );
}
