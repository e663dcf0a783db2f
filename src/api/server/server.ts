import type { Drain } from '../../base/drain.ts';
import type { HttpExchange } from '../../net/http-exchange.ts';
import { assemble, type Parts } from './assemble.ts';
import { inProcessExchange } from './http/in-process.ts';
import type { ApiHandler, ApiListener } from './http/listener.ts';
import type { UserInfo } from './http/request.ts';
import { kubeconfigText } from './identity/kubeconfig.ts';
import { DRAIN_DEADLINE_MS } from './limits.ts';
import type { LocalKubelet } from './stream/kubelets.ts';
import type { ApiServerDeps, ApiServerOptions } from './server-options.ts';

/** A running API server. Disposal drains: watches end, requests under way are answered, then sockets close. */
export class ApiServer implements AsyncDisposable {
  readonly caPem: string;
  /** Undefined without `listen`. */
  readonly address: string | undefined;
  /** kubeconfig of the cluster administrator; empty without `listen`. */
  readonly adminKubeconfig: string;
  readonly #deps: ApiServerDeps;
  readonly #handler: ApiHandler;
  readonly #drain: Drain;
  readonly #listener: ApiListener | undefined;
  readonly #owned: AsyncDisposableStack;
  readonly #attachKubelet: (kubelet: LocalKubelet) => Promise<void>;

  static async open(deps: ApiServerDeps, options: ApiServerOptions): Promise<ApiServer> {
    await using stack = new AsyncDisposableStack();
    const parts = await assemble(deps, options, stack);
    return new ApiServer(deps, parts, stack.move());
  }

  private constructor(deps: ApiServerDeps, parts: Parts, owned: AsyncDisposableStack) {
    this.#attachKubelet = parts.attachKubelet;
    this.#deps = deps;
    this.#handler = parts.handler;
    this.#drain = parts.drain;
    this.#listener = parts.listener;
    this.#owned = owned;
    this.caPem = parts.pki.ca.pem;
    this.address = parts.listener?.address;
    this.adminKubeconfig = this.address
      ? kubeconfigText({
          server: `https://${parts.advertised ?? this.address}`,
          caPem: this.caPem,
          user: 'kubernetes-admin',
          credentials: parts.pki.admin,
        })
      : '';
  }

  /** Calls without a socket, as this user; nothing the caller sends can change who it is. */
  exchange(identity: UserInfo): HttpExchange {
    return inProcessExchange(this.#handler, identity, this.#drain.signal);
  }

  /**
   * From now on this kubelet answers for its node: log, exec, attach, port-forward, nodes/NAME/proxy and metrics.k8s.io.
   * Resolves when its metrics were read for the first time.
   */
  attachKubelet(kubelet: LocalKubelet): Promise<void> {
    return this.#attachKubelet(kubelet);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, log } = this.#deps;
    this.#listener?.stopAccepting();
    this.#drain.begin();
    const drained = await this.#drain.finished(clock, DRAIN_DEADLINE_MS);
    if (!drained) log.warn('requests were cut off', { count: this.#drain.activeCount });
    await this.#owned.disposeAsync();
  }
}
