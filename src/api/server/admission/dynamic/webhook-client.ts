import { Buffer } from 'node:buffer';
import { Agent, request as httpsRequest } from 'node:https';
import type { Clock } from '../../../../base/clock.ts';
import { messageOf } from '../../../../base/fault.ts';
import { isObject, type JsonObject, numberAt, objectAt, stringAt } from '../../../kinds/json-value.ts';
import { WEBHOOK_REPLY_MAX_BYTES, WEBHOOK_SOCKETS_MAX } from '../../limits.ts';
import { serviceTarget, type Target } from '../../proxy/service-target.ts';
import type { Core } from '../../verbs/context.ts';

export type ReviewReply =
  | { readonly ok: true; readonly response: JsonObject }
  | { readonly ok: false; readonly message: string };

interface Call {
  readonly target: Target;
  readonly serverName: string;
  readonly path: string;
  readonly shown: string;
}

const DEFAULT_TIMEOUT_SECONDS = 10;

export type WebhookReply =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly message: string };

/** Posts reviews to webhooks over TLS; a failure is a value, the caller's policy decides. */
export class WebhookClient implements Disposable {
  readonly #core: Core;
  readonly #clock: Clock;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: WEBHOOK_SOCKETS_MAX });

  constructor(core: Core) {
    this.#core = core;
    this.#clock = core.clock;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /** An AdmissionReview. */
  async review(webhook: JsonObject, review: JsonObject, uid: string): Promise<ReviewReply> {
    const seconds = numberAt(webhook, 'timeoutSeconds') ?? DEFAULT_TIMEOUT_SECONDS;
    const reply = await this.post(objectAt(webhook, 'clientConfig'), JSON.stringify(review), seconds);
    if (reply.ok) return responseOf(reply.text, uid);
    return { ok: false, message: `failed to call webhook: ${reply.message}` };
  }

  /** Any review to the webhook of a `clientConfig` (url, or service, and caBundle). */
  async post(config: JsonObject, body: string, timeoutSeconds: number): Promise<WebhookReply> {
    const call = this.#callOf(config);
    if (typeof call === 'string') return { ok: false, message: call };
    const abort = new AbortController();
    using _timer = this.#clock.setTimer(timeoutSeconds * 1000, () =>
      abort.abort(new Error('context deadline exceeded')),
    );
    try {
      return { ok: true, text: await this.#post(call, stringAt(config, 'caBundle'), body, abort.signal) };
    } catch (error) {
      const why = abort.signal.aborted ? 'context deadline exceeded' : messageOf(error);
      return { ok: false, message: `Post "${call.shown}": ${why}` };
    }
  }

  #callOf(config: JsonObject): Call | string {
    const { service } = config;
    if (!isObject(service)) {
      const url = URL.parse(stringAt(config, 'url'));
      if (!url || url.protocol !== 'https:') return 'the url of the webhook is not valid';
      const target = { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 443) };
      return { target, serverName: target.host, path: url.pathname, shown: url.href };
    }
    const [name, namespace] = [stringAt(service, 'name'), stringAt(service, 'namespace')];
    const port = numberAt(service, 'port') ?? 443;
    const target = serviceTarget(this.#core, namespace, name, port);
    const serverName = `${name}.${namespace}.svc`;
    const path = stringAt(service, 'path') || '/';
    const shown = `https://${serverName}:${port}${path}`;
    return target
      ? { target, serverName, path, shown }
      : `Post "${shown}": service "${name}" not found or without endpoints`;
  }

  async #post(
    { target, serverName, path }: Call,
    caBundle: string,
    body: string,
    signal: AbortSignal,
  ): Promise<string> {
    return await new Promise<string>((resolve, reject) => {
      const request = httpsRequest({
        agent: this.#agent,
        host: target.host,
        port: target.port,
        servername: /[a-z]/i.test(serverName) && !serverName.includes(':') ? serverName : undefined,
        path,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'user-agent': 'kube-apiserver-admission',
          'content-length': Buffer.byteLength(body),
        },
        ...(caBundle && { ca: Buffer.from(caBundle, 'base64') }),
        signal,
      });
      request.on('error', reject);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let sizeBytes = 0;
        response.on('data', (chunk: Buffer) => {
          sizeBytes += chunk.length;
          if (sizeBytes > WEBHOOK_REPLY_MAX_BYTES) request.destroy(new Error('the reply is too large'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => {
          const { statusCode = 0 } = response;
          if (statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
          else reject(new Error(`the server answered with status ${statusCode}`));
        });
      });
      request.end(body);
    });
  }
}

function responseOf(text: string, uid: string): ReviewReply {
  let value: unknown;
  try {
    value = JSON.parse(text) as unknown;
  } catch {
    return { ok: false, message: 'the reply is no JSON' };
  }
  if (!isObject(value) || value['kind'] !== 'AdmissionReview') {
    return { ok: false, message: `expected response.kind to be AdmissionReview` };
  }
  const response = objectAt(value, 'response');
  if (response['uid'] !== uid) {
    return {
      ok: false,
      message: `expected response.uid="${uid}", got ${JSON.stringify(response['uid'] ?? '')}`,
    };
  }
  return { ok: true, response };
}
