import { PassThrough } from 'node:stream';
import { NO_BODY } from '../http/message.ts';
import { MIRROR_BODY_PENDING_BYTES_MAX, MIRROR_TIMEOUT_MS, MIRRORS_MAX } from '../limits.ts';
import type { OutgoingRequest } from '../upstream/stream.ts';
import type { SideRequests } from '../upstream/side-requests.ts';
import type { RoutedRequest } from './context.ts';
import { expand } from './variables.ts';

/** Takes a request body as it passes. */
export interface BodyCopy {
  /** Copies the bytes, which are lent. */
  add(bytes: Buffer): void;
  end(): void;
  /** The rest will not come: the copy is not to be taken for a whole one. */
  cut(): void;
}

/**
 * mirror-target: sends a copy of the request and forgets the answer. It never delays or fails the request itself:
 * a mirror that does not keep up with a body loses its copy.
 */
export class Mirrors {
  readonly #requests: SideRequests;
  #active = 0;
  skipped = 0;

  constructor(requests: SideRequests) {
    this.#requests = requests;
  }

  /** Begins the copy; the answer wants the body, when the policy says that it goes too. */
  send(request: RoutedRequest, outgoing: OutgoingRequest): BodyCopy | undefined {
    const policy = request.route.policy.mirror;
    if (!policy) return undefined;
    if (this.#active >= MIRRORS_MAX) {
      this.skipped++;
      return undefined;
    }
    this.#active++;
    const withBody = policy.requestBody && outgoing.bodyLength !== NO_BODY;
    const fields = outgoing.fields.copy();
    for (const name of ['te', 'host', ...(withBody ? [] : ['content-length'])]) fields.remove(name);
    const body = withBody ? new PassThrough({ highWaterMark: MIRROR_BODY_PENDING_BYTES_MAX }) : undefined;
    body?.on('error', () => {}); // the side request tells
    const done = (): void => {
      this.#active--;
      body?.destroy();
    };
    this.#requests
      .send({
        method: outgoing.method,
        url: expand(policy.target, request),
        host: policy.host ?? outgoing.authority,
        fields,
        body,
        timeoutMs: MIRROR_TIMEOUT_MS,
      })
      .then(done, done);
    return body && this.#copyInto(body);
  }

  #copyInto(body: PassThrough): BodyCopy {
    return {
      add: (bytes) => {
        if (body.destroyed || body.write(Buffer.from(bytes))) return;
        this.skipped++;
        body.destroy(new Error('the mirror is too slow'));
      },
      end: () => void (body.destroyed || body.end()),
      cut: () => void body.destroy(new Error('the request was cut')),
    };
  }
}
