import { connect, constants } from 'node:http2';
import { joinHostPort } from '../../net/ip.ts';

/** grpc.health.v1.HealthCheckResponse.ServingStatus */
const SERVING = 1;

/** HealthCheckRequest{1: service}, framed for gRPC: not compressed, length, message. */
function requestBytes(service: string): Buffer {
  const name = Buffer.from(service);
  const message =
    name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function varint(value: number): Buffer {
  const out: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...out, rest]);
    out.push((rest & 0x7f) | 0x80);
  }
}

/** The status of a framed HealthCheckResponse{1: status}; undefined when it is none. */
function servingStatus(bytes: Buffer): number | undefined {
  if (bytes.length < 5 || bytes[0] !== 0) return undefined;
  const message = bytes.subarray(5, 5 + bytes.readUInt32BE(1));
  if (message.length === 0) return 0;
  return message[0] === 0x08 ? message[1] : undefined;
}

/** Asks the gRPC health service once (plaintext HTTP/2). Resolves with undefined when serving, else with why not. */
export function checkGrpcHealth(
  target: { readonly host: string; readonly port: number; readonly service: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const session = connect(`http://${joinHostPort(target.host, target.port)}`);
    const finish = (failure: string | undefined): void => {
      signal.removeEventListener('abort', onAbort);
      session.destroy();
      resolve(failure);
    };
    const onAbort = (): void => finish('timeout: health rpc did not complete');
    signal.addEventListener('abort', onAbort, { once: true });
    session.on('error', (error) => finish(`connection failed: ${error.message}`));
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      te: 'trailers',
      'user-agent': 'kube-probe/1.35',
    });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', (error) => finish(`health rpc failed: ${error.message}`));
    stream.on('end', () => {
      const status = servingStatus(Buffer.concat(chunks));
      finish(status === SERVING ? undefined : `service unhealthy (status ${status ?? 'unknown'})`);
    });
    stream.end(requestBytes(target.service));
  });
}
