import { expectArgs, expectNoBody, readInteger } from '../../corefile/options.ts';
import { UDP_PAYLOAD_BYTES } from '../../limits.ts';
import type { Directive, Plugin } from '../../plugin.ts';
import { withRequest, type Outcome } from '../../query.ts';

const LEAST_BYTES = 512;
const MOST_BYTES = 4096;

/** `bufsize [SIZE]`: the most a client may get over UDP, and the most we tell upstreams that we take. */
export const bufsize: Directive = {
  name: 'bufsize',
  setup(context) {
    expectArgs(context, context.stanza, 0, 1);
    expectNoBody(context);
    const token = context.stanza.args[0];
    const size = token ? readInteger(context, token, LEAST_BYTES, MOST_BYTES) : UDP_PAYLOAD_BYTES;
    const { strict } = context;
    return size === undefined ? undefined : () => openBufsize(size, { strict });
  },
};

function openBufsize(size: number, { strict }: { readonly strict: boolean }): Plugin {
  const cut = (outcome: Outcome): Outcome =>
    outcome.kind === 'reply' ? { ...outcome, maxBytes: Math.min(size, outcome.maxBytes ?? size) } : outcome;
  return {
    name: 'bufsize',
    // The table keeps to this size by itself.
    transparent: size === UDP_PAYLOAD_BYTES && !strict,
    serve: (query, next) => {
      const { edns } = query.request;
      if (!edns) return next(query);
      const lowered = { ...query.request, edns: { ...edns, udpSize: Math.min(edns.udpSize, size) } };
      const outcome = next(edns.udpSize > size ? withRequest(query, lowered) : query);
      return outcome instanceof Promise ? outcome.then(cut) : cut(outcome);
    },
  };
}
