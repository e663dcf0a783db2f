import * as grpc from '@grpc/grpc-js';
import { backoffDelayMs } from '../../base/backoff.ts';
import { sleep, systemClock } from '../../base/clock.ts';
import type { Clock } from '../../base/clock.ts';
import { Fault, messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { ETCD_CONNECT_TIMEOUT_MS, ETCD_REQUEST_TIMEOUT_MS, ETCD_RETRY_TIME_MS } from '../limits.ts';
import { STORE_CLOSED, STORE_OPEN_FAILED, STORE_UNAVAILABLE } from '../store.ts';
import { etcdFault, nothingHappened, retryable } from './faults.ts';
import type { Method } from './messages.ts';

export interface EtcdTls {
  /** PEM. Absent = the system's authorities. */
  readonly ca?: Buffer;
  /** PEM, both or none. */
  readonly key?: Buffer;
  readonly cert?: Buffer;
}

export interface EtcdEndpoints {
  /** http://HOST:PORT or https://HOST:PORT */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
}

interface Member {
  readonly address: string;
  readonly client: grpc.Client;
}

const CHANNEL: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // A silent peer is noticed; etcd drops clients that ping more often than every 5 s.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
};
const BACKOFF = { minMs: 20, maxMs: 500, jitter: 0.5 };

/**
 * Calls to one of several members: the one that answered last, until it fails. A call is tried again elsewhere
 * when it is idempotent or certainly had no effect; else the caller learns that the outcome is unknown.
 */
export class EtcdConnection implements Disposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  readonly #members: readonly Member[];
  readonly #closing = new AbortController();
  #preferred = 0;

  constructor(deps: { clock: Clock; log: Logger; random: () => number }, options: EtcdEndpoints) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#random = deps.random;
    if (options.endpoints.length === 0) throw new Fault(STORE_OPEN_FAILED, 'no etcd endpoint is given');
    this.#members = options.endpoints.map((endpoint) => createMember(endpoint, options.tls));
  }

  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  async call<Response>(method: Method<Response>, request: object): Promise<Response> {
    const endMs = this.#clock.monotonicMs() + ETCD_RETRY_TIME_MS;
    for (let attempt = 0; ; attempt++) {
      this.#checkOpen();
      const at = this.#preferred;
      try {
        const client = await this.#ready(at);
        return await unary(client, method, request, this.#closing.signal);
      } catch (error) {
        this.#checkOpen();
        const again = nothingHappened(error) || (method.idempotent && retryable(error));
        if (!again || this.#clock.monotonicMs() >= endMs) throw etcdFault(error, method.idempotent);
        this.#passOver(at, error);
      }
      if (attempt % this.#members.length === this.#members.length - 1) await this.#pause(attempt);
    }
  }

  /** A stream to a member that is reachable now. Its errors are the caller's. */
  async stream<Response>(method: Method<Response>): Promise<grpc.ClientDuplexStream<object, Response>> {
    this.#checkOpen();
    const at = this.#preferred;
    try {
      const client = await this.#ready(at);
      return client.makeBidiStreamRequest(
        method.path,
        method.serialize,
        method.deserialize,
        leaderRequired(),
      );
    } catch (error) {
      this.#passOver(at, error);
      throw error;
    }
  }

  /** Asks each member by itself; undefined = no answer. */
  async ofEach<Response>(
    method: Method<Response>,
    request: object,
  ): Promise<{ readonly address: string; readonly response: Response | undefined }[]> {
    const answers = this.#members.map(async ({ address, client }) => {
      const response = await unary(client, method, request, this.#closing.signal).catch(() => undefined);
      return { address, response };
    });
    return await Promise.all(answers);
  }

  /** The next call goes to another member. */
  failOver(reason: unknown): void {
    this.#passOver(this.#preferred, reason);
  }

  async pause(attempt: number): Promise<void> {
    await this.#pause(attempt);
  }

  [Symbol.dispose](): void {
    this.#closing.abort(new Fault(STORE_CLOSED, 'the store is closed'));
    for (const { client } of this.#members) client.close();
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new Fault(STORE_CLOSED, 'the store is closed');
  }

  async #pause(attempt: number): Promise<void> {
    const round = Math.floor(attempt / this.#members.length);
    await sleep(this.#clock, backoffDelayMs(round, { ...BACKOFF, random: this.#random }), this.closing);
  }

  /** Nothing has been sent when this fails. */
  #ready(at: number): Promise<grpc.Client> {
    const { client, address } = this.#members[at]!;
    return new Promise((resolve, reject) => {
      client.waitForReady(new Date(this.#clock.nowMs() + ETCD_CONNECT_TIMEOUT_MS), (error) => {
        if (!error) return resolve(client);
        reject(new Fault(STORE_UNAVAILABLE, `etcd at ${address} is not reachable`, { cause: error }));
      });
    });
  }

  #passOver(at: number, error: unknown): void {
    if (this.#preferred !== at || this.#members.length === 1) return;
    this.#preferred = (at + 1) % this.#members.length;
    const { address } = this.#members[at]!;
    this.#log.warn('etcd member passed over', { endpoint: address, reason: messageOf(error) });
  }
}

function createMember(endpoint: string, tls: EtcdTls | undefined): Member {
  let url: URL;
  try {
    url = new URL(endpoint);
  } catch {
    throw new Fault(
      STORE_OPEN_FAILED,
      `${endpoint} is no etcd endpoint; write http://HOST:PORT or https://HOST:PORT`,
    );
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new Fault(STORE_OPEN_FAILED, `${endpoint}: etcd endpoints begin with http:// or https://`);
  }
  const address = `${url.hostname}:${url.port || '2379'}`;
  const credentials =
    url.protocol === 'http:'
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createSsl(tls?.ca ?? null, tls?.key ?? null, tls?.cert ?? null);
  return { address, client: new grpc.Client(address, credentials, CHANNEL) };
}

function unary<Response>(
  client: grpc.Client,
  method: Method<Response>,
  request: object,
  signal: AbortSignal,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { path, serialize, deserialize } = method;
    const options = { deadline: new Date(systemClock.nowMs() + ETCD_REQUEST_TIMEOUT_MS) };
    const done = (error: grpc.ServiceError | null, response?: Response): void => {
      signal.removeEventListener('abort', cancel);
      if (error) reject(error);
      else resolve(response!);
    };
    const call = client.makeUnaryRequest(
      path,
      serialize,
      deserialize,
      request,
      leaderRequired(),
      options,
      done,
    );
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
  });
}

/** A member that has lost its leader refuses at once instead of letting the call hang. */
function leaderRequired(): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('hasleader', 'true');
  return metadata;
}
