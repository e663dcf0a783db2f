import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import type { HttpExchange } from '../../../src/net/http-exchange.ts';
import { ApiServer } from '../../../src/api/server/server.ts';
import type { ApiServerDeps, ApiServerOptions } from '../../../src/api/server/server-options.ts';
import { openMemoryStore } from '../../../src/store/memory-store.ts';

export interface TestServer extends AsyncDisposable {
  readonly server: ApiServer;
  readonly call: Call;
  as(username: string, ...groups: string[]): Call;
}

export interface TestReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  // Tests look into replies of every kind.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
  readonly text: string;
}

export type Call = (
  method: string,
  target: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<TestReply>;

export const MASTER = { username: 'test-admin', groups: ['system:masters'] };

export async function openTestServer(
  options: Partial<ApiServerOptions> = {},
  deps: Partial<ApiServerDeps> = {},
): Promise<TestServer> {
  const log = deps.log ?? silentLogger;
  const store = deps.store ?? openMemoryStore({ clock: systemClock, log });
  const server = await ApiServer.open(
    { store, clock: systemClock, log, metrics: new Registry(), ...deps },
    {
      dataDir: undefined,
      serviceCidrs: ['10.96.0.0/16'],
      nodePortRange: { from: 30_000, to: 32_767 },
      ...options,
    },
  );
  return {
    server,
    call: caller(server.exchange(MASTER)),
    as: (username, ...groups) => caller(server.exchange({ username, groups })),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      if (!deps.store) await store[Symbol.asyncDispose]();
    },
  };
}

export function caller(exchange: HttpExchange): Call {
  return async (method, target, body, headers = {}) => {
    const bytes =
      body === undefined
        ? undefined
        : body instanceof Uint8Array
          ? body
          : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body), 'utf8');
    const reply = await exchange(
      {
        method,
        target,
        headers: { 'content-type': 'application/json', 'user-agent': 'test/1', ...headers },
        ...(bytes && { body: bytes }),
      },
      new AbortController().signal,
    );
    const chunks: Uint8Array[] = [];
    for await (const chunk of reply.body) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString('utf8');
    const isJson = reply.headers['content-type']?.startsWith('application/json') === true;
    return {
      status: reply.status,
      headers: reply.headers,
      body: isJson && text ? (JSON.parse(text) as unknown) : undefined,
      text,
    };
  };
}

export const patchType = {
  json: { 'content-type': 'application/json-patch+json' },
  merge: { 'content-type': 'application/merge-patch+json' },
  strategic: { 'content-type': 'application/strategic-merge-patch+json' },
  apply: { 'content-type': 'application/apply-patch+yaml' },
} as const;

export interface WatchFrame {
  readonly type: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly object: any;
}

/** Opens a watch and gives its frames one by one. */
export async function* watchFrames(
  exchange: HttpExchange,
  target: string,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): AsyncGenerator<WatchFrame> {
  const reply = await exchange({ method: 'GET', target, headers }, signal);
  let rest = '';
  for await (const chunk of reply.body) {
    rest += Buffer.from(chunk).toString('utf8');
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield JSON.parse(rest.slice(0, end)) as WatchFrame;
      rest = rest.slice(end + 1);
    }
  }
}
