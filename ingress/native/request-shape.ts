import type { Fields } from '../http/fields.ts';
import type { Reply } from '../relay/reply.ts';
import { certificateFields } from './certificate-fields.ts';
import type { ClientConnection } from './client-connection.ts';
import { type Answered, type Composed, noteAnswerTime, pickFor } from './composer.ts';
import type { WorkerCluster, WorkerEndpoint } from './endpoints.ts';
import type { WorkerContext } from './worker-context.ts';
import type { FastRoute } from './worker-table.ts';

const NOTHING = Buffer.alloc(0);

/**
 * How the heads of a request and of its answer are written: in place, or composed where its route or the settings ask for
 * more. One object for all requests of a relay.
 */
export class RequestShape {
  readonly #context: WorkerContext;
  #fast: FastRoute | undefined;
  #client: ClientConnection | undefined;
  #made: Answered | Composed | undefined;
  /** Lines that tell of the client's certificate. */
  #certificate: Uint8Array = NOTHING;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /** The heads of its answers are for `answer`. */
  get isComposed(): boolean {
    return this.#made !== undefined;
  }

  /** What it is answered without an endpoint. */
  get reply(): Reply | undefined {
    return this.#made?.reply;
  }

  /** The key of the canary's backend that took it, else empty. */
  get canary(): string {
    return this.#composed?.canary ?? '';
  }

  get cluster(): WorkerCluster {
    return this.#composed?.cluster ?? this.#fast!.cluster;
  }

  /** The value of Strict-Transport-Security that its answer must have. */
  get transportSecurity(): string | undefined {
    const isWanted = this.#client?.tls !== undefined && this.#fast!.route.hostHasTls;
    return isWanted ? this.#context.settings.hsts?.value : undefined;
  }

  /** Takes the request that was scanned last, from its first byte. False = for the portable engine. */
  begin(fast: FastRoute, client: ClientConnection, from: number): boolean {
    this.#fast = fast;
    this.#client = client;
    this.#made = undefined;
    return this.#identify(fast, client) && (!this.#needsComposing(fast, client) || this.#compose(from));
  }

  pick(): WorkerEndpoint | undefined {
    const { clock } = this.#context;
    const { cluster, route } = this.#fast!;
    const composed = this.#composed;
    return composed ? pickFor(composed, clock) : cluster.pick(route.policy.balance.health, clock);
  }

  /** Writes the head an endpoint gets at writeAt; returns where it ends. */
  writeHead(from: number): number {
    const { text, request, writer, writeAt, settings } = this.#context;
    const composed = this.#composed;
    if (!composed) {
      const generateId = settings.generateRequestId;
      return writer.write(request, from, writeAt, this.#client!.fields, this.#certificate, generateId);
    }
    return writeAt + text.write(composed.head, writeAt, 'latin1');
  }

  /** Of the head written last, where we made it. */
  get requestId(): string {
    return this.#composed ? this.#composed.requestId : this.#context.writer.madeId;
  }

  /** Does to the fields of an answer of our own what policies ask for. */
  ownAnswer(status: number, fields: Fields): void {
    if (this.#made) return this.#context.composer.shape(this.#made.request, status, fields);
    const { transportSecurity } = this;
    if (transportSecurity !== undefined) fields.set('Strict-Transport-Security', transportSecurity);
  }

  /** The same to those of an endpoint's. */
  answer(status: number, fields: Fields): void {
    this.ownAnswer(status, fields);
    const cookie = this.#composed?.choice?.cookie;
    if (cookie !== undefined) fields.add('Set-Cookie', cookie);
  }

  /** The endpoint has answered in full. */
  answered(endpoint: WorkerEndpoint, startedMs: number): void {
    if (this.#composed) noteAnswerTime(this.#composed, endpoint, startedMs, this.#context.nowMs());
  }

  get #composed(): Composed | undefined {
    return this.#made?.reply === undefined ? this.#made : undefined;
  }

  /** False = the portable engine has to say what is wrong with the client's certificate. */
  #identify({ route, checkedBy }: FastRoute, client: ClientConnection): boolean {
    const { clientCertificate } = route.policy;
    this.#certificate = NOTHING;
    if (!clientCertificate) return true;
    const lines = certificateFields(client.tls, clientCertificate, checkedBy);
    if (lines) this.#certificate = lines;
    return lines !== undefined;
  }

  #needsComposing({ composed, secureOnly, route }: FastRoute, client: ClientConnection): boolean {
    const { request, table } = this.#context;
    if (composed || table.composesAll || (secureOnly && !client.tls)) return true;
    return request.claimsCertificate && route.policy.clientCertificate !== undefined;
  }

  #compose(from: number): boolean {
    const { text, request, composer, settings } = this.#context;
    const head = text.subarray(from, request.end);
    this.#made = composer.compose(head, this.#client!, this.#fast!, settings);
    return this.#made !== undefined;
  }
}
