import type { OutgoingRequest } from '../upstream/stream.ts';
import type { SideRequests } from '../upstream/side-requests.ts';
import type { RoutedRequest } from './context.ts';
import { expand } from './variables.ts';

/** Copies under way at once. Over: the copy is left out and counted. */
const MIRRORS_MAX = 256;
const MIRROR_TIMEOUT_MS = 10_000;

/**
 * mirror-target: sends a copy of the request and forgets the answer. It never delays or fails the request itself.
 * Bodies are not copied: they are streamed once, to the backend.
 */
export class Mirrors {
  readonly #requests: SideRequests;
  #active = 0;
  skipped = 0;

  constructor(requests: SideRequests) {
    this.#requests = requests;
  }

  send(request: RoutedRequest, outgoing: OutgoingRequest): void {
    const policy = request.route.policy.mirror;
    if (!policy) return;
    if (this.#active >= MIRRORS_MAX) {
      this.skipped++;
      return;
    }
    this.#active++;
    const fields = outgoing.fields.copy();
    for (const name of ['content-length', 'te', 'host']) fields.remove(name);
    const done = (): void => void this.#active--;
    this.#requests
      .send({
        method: outgoing.method,
        url: expand(policy.target, request),
        host: policy.host ?? outgoing.authority,
        fields,
        body: undefined,
        timeoutMs: MIRROR_TIMEOUT_MS,
      })
      .then(done, done);
  }
}
