import type { Exchange } from '../http/exchange.ts';
import type { Fields } from '../http/fields.ts';
import { sourceAllowed } from '../relay/decide.ts';
import type { RoutedRequest } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';
import { type Reply, reply } from '../relay/reply.ts';
import type { OutgoingRequest } from '../upstream/stream.ts';

/** What an access check adds to the upstream request. */
export interface Admission {
  readonly addFields: Fields;
}

/** Limits and access control of a request, in nginx's order: limits, then source ranges, logins, external auth. */
export class Gatekeeper {
  admit(request: RoutedRequest, _record: RequestRecord): Reply | undefined | Promise<Reply | Admission | undefined> {
    if (sourceAllowed(request) === false) return reply(403, 'source range');
    return undefined;
  }

  release(_request: RoutedRequest): void {}

  mirror(_request: RoutedRequest, _outgoing: OutgoingRequest, _exchange: Exchange): void {}
}
