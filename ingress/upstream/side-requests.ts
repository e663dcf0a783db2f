import { Agent } from 'undici';
import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { BackendRef } from '../compile/route.ts';
import { isFieldValue, isToken } from '../http/bytes.ts';
import { Fields } from '../http/fields.ts';
import type { ResolveName } from './clusters.ts';
import { endpointsOf } from './cluster.ts';

/** A request of our own beside the one that is proxied: external auth, mirrors, OCSP. */
export interface SideRequest {
  readonly method: string;
  readonly url: string;
  /** Host field; the URL's when absent. */
  readonly host?: string;
  readonly fields: Fields;
  readonly body: AsyncIterable<Uint8Array> | Uint8Array | undefined;
  readonly timeoutMs: number;
}

export interface SideAnswer {
  readonly status: number;
  readonly fields: Fields;
}

const BODY_BYTES_MAX = 64 * 1024;
const CONNECTIONS_MAX = 256;

/**
 * Sends side requests with undici. Names of cluster services go straight to their endpoints, other names through
 * the resolver of the ingress. Answers without a connection are status 0.
 */
export class SideRequests implements AsyncDisposable {
  readonly #agent = new Agent({
    connections: CONNECTIONS_MAX,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    connect: { rejectUnauthorized: true },
  });
  readonly #deps: { snapshots: SnapshotSource; resolve: ResolveName; log: Logger };
  #cursor = 0;

  constructor(deps: { snapshots: SnapshotSource; resolve: ResolveName; log: Logger }) {
    this.#deps = deps;
  }

  async send(request: SideRequest): Promise<SideAnswer> {
    try {
      const { origin, path, host } = await this.#place(request.url);
      const headers: string[] = ['host', request.host ?? host];
      for (let i = 0; i < request.fields.length; i++)
        headers.push(request.fields.names[i]!.raw, request.fields.values[i]!);
      const answer = await this.#agent.request({
        origin,
        path,
        method: request.method,
        headers,
        body: (request.body ?? null) as Uint8Array | null,
        headersTimeout: request.timeoutMs,
        bodyTimeout: request.timeoutMs,
        responseHeaders: 'raw',
      });
      await answer.body.dump({ limit: BODY_BYTES_MAX }).catch(() => {}); // what it says besides its head does not matter
      return {
        status: answer.statusCode,
        fields: rawFields(answer.headers as unknown as (string | Buffer)[]),
      };
    } catch (error) {
      this.#deps.log.warn('side request failed', { url: request.url, reason: messageOf(error) });
      return { status: 0, fields: new Fields() };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  async #place(text: string): Promise<{ origin: string; path: string; host: string }> {
    const url = new URL(text);
    const path = url.pathname + url.search;
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
    const address = url.protocol === 'https:' ? undefined : await this.#address(url.hostname, port);
    return { origin: address === undefined ? url.origin : `http://${address}`, path, host: url.host };
  }

  async #address(name: string, port: number): Promise<string | undefined> {
    const match = /^([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc(?:\..*)?)?$/.exec(name);
    if (match) {
      const backend: BackendRef = { namespace: match[2]!, service: match[1]!, port: { number: port } };
      const service = this.#deps.snapshots.snapshot.services.get(`${backend.namespace}/${backend.service}`);
      const { addresses } = endpointsOf(service, backend, false);
      if (addresses.length > 0) {
        const chosen = addresses[this.#cursor++ % addresses.length]!;
        return joinHostPort(chosen.host, chosen.port);
      }
    }
    if (/^[\d.]+$|^\[/.test(name)) return undefined;
    const { addresses } = await this.#deps.resolve(name);
    return addresses[0] === undefined ? undefined : joinHostPort(addresses[0], port);
  }
}

function rawFields(raw: readonly (string | Buffer)[]): Fields {
  const fields = new Fields();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i]!.toString('latin1'), raw[i + 1]!.toString('latin1')];
    if (isToken(name) && isFieldValue(value)) fields.add(name, value);
  }
  return fields;
}
