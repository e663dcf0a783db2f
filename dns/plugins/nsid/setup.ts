import { hostname } from 'node:os';
import { expectNoBody } from '../../corefile/options.ts';
import type { Directive, Plugin } from '../../plugin.ts';
import type { Outcome } from '../../query.ts';
import { EDNS_OPTION } from '../../wire/numbers.ts';

/** `nsid [DATA...]`: says which server answered to those who ask (RFC 5001); default the host's name. */
export const nsid: Directive = {
  name: 'nsid',
  setup(context) {
    expectNoBody(context);
    const words = context.stanza.args.map(({ text }) => text);
    const id = Buffer.from(words.length > 0 ? words.join(' ') : hostname());
    return () => openNsid(Uint8Array.from(id));
  },
};

function openNsid(data: Uint8Array): Plugin {
  const named = (outcome: Outcome): Outcome => {
    if (outcome.kind !== 'reply') return outcome;
    const { message } = outcome;
    const edns = message.edns ?? { udpSize: 0, version: 0, dnssecOk: false, options: [] };
    const others = edns.options.filter(({ code }) => code !== EDNS_OPTION.NSID);
    const options = [...others, { code: EDNS_OPTION.NSID, data }];
    return { ...outcome, message: { ...message, edns: { ...edns, options } } };
  };
  return {
    name: 'nsid',
    transparent: true,
    serverId: data,
    serve: (query, next) => {
      const outcome = next(query);
      if (!query.request.edns?.options.some(({ code }) => code === EDNS_OPTION.NSID)) return outcome;
      return outcome instanceof Promise ? outcome.then(named) : named(outcome);
    },
  };
}
