import { Agent, type Dispatcher } from 'undici';
import type { HttpExchange, HttpRequest, HttpResponse } from '../../net/http-exchange.ts';
import { type Credential, type CredentialDeps, openCredentials } from './credentials.ts';
import type { ClusterAccess } from './kubeconfig.ts';
import { BODY_TIMEOUT_MS, CONNECT_TIMEOUT_MS, HEADERS_TIMEOUT_MS } from './limits.ts';

/** An exchange over sockets; disposal closes its kept connections. */
export interface OpenExchange extends AsyncDisposable {
  readonly exchange: HttpExchange;
}

/**
 * Requests to a remote API server: TLS by the access's CA and client certificate, kept connections, and an
 * identity that is renewed (token files, exec plugins). A 401 is repeated once with fresh credentials.
 */
export function openHttpExchange(access: ClusterAccess, deps: CredentialDeps): OpenExchange {
  const credentials = openCredentials(access, deps);
  const agents = new AgentPool(access);
  const basePath = access.server.pathname.replace(/\/+$/, '');
  const once = async (request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> => {
    const credential = await credentials.current();
    const dispatcher = agents.for(credential);
    const { authorization } = credential;
    const isWatch = /[?&]watch=(true|1)\b|[?&]follow=true\b/.test(request.target);
    const reply = await dispatcher.request({
      origin: access.server.origin,
      path: basePath + request.target,
      method: request.method,
      headers: { ...request.headers, ...access.impersonate, ...(authorization && { authorization }) },
      body: request.body ?? null,
      signal,
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: isWatch ? 0 : BODY_TIMEOUT_MS,
    });
    return { status: reply.statusCode, headers: flat(reply.headers), body: reply.body };
  };
  return {
    exchange: async (request, signal) => {
      const response = await once(request, signal);
      if (response.status !== 401 || !credentials.invalidate()) return response;
      for await (const _ of response.body); // drained, so that the connection can be kept
      return await once(request, signal);
    },
    [Symbol.asyncDispose]: () => agents[Symbol.asyncDispose](),
  };
}

/** Connections belong to a client certificate: a new one (rotation) gets new connections. */
class AgentPool implements AsyncDisposable {
  readonly #access: ClusterAccess;
  #agent: Agent | undefined;
  #certPem: string | undefined;

  constructor(access: ClusterAccess) {
    this.#access = access;
  }

  for(credential: Credential): Dispatcher {
    if (this.#agent && this.#certPem === credential.certPem) return this.#agent;
    const retired = this.#agent;
    this.#certPem = credential.certPem;
    this.#agent = new Agent({ connect: this.#tls(credential), keepAliveTimeout: 60_000 });
    // Requests under way end on their own connections.
    void retired?.close();
    return this.#agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.destroy();
  }

  #tls(credential: Credential): NonNullable<Agent.Options['connect']> {
    const { caPem, insecureSkipTlsVerify, tlsServerName } = this.#access;
    return {
      timeout: CONNECT_TIMEOUT_MS,
      rejectUnauthorized: !insecureSkipTlsVerify,
      ...(caPem && { ca: caPem }),
      ...(tlsServerName && { servername: tlsServerName }),
      ...(credential.certPem && { cert: credential.certPem }),
      ...(credential.keyPem && { key: credential.keyPem }),
    };
  }
}

function flat(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) result[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return result;
}
