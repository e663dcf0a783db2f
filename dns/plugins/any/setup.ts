import { expectArgs, expectNoBody } from '../../corefile/options.ts';
import type { Directive, Plugin } from '../../plugin.ts';
import { asks } from '../../query.ts';
import { record, replyTo } from '../../wire/message.ts';

const TTL_SECONDS = 8482;

/** `any`: a short answer to ANY (RFC 8482 section 4.2). */
export const any: Directive = {
  name: 'any',
  setup(context) {
    expectArgs(context, context.stanza, 0, 0);
    expectNoBody(context);
    return () => plugin;
  },
};

const plugin: Plugin = {
  name: 'any',
  // The compiled table leaves ANY to the chain.
  transparent: true,
  serve: (query, next) => {
    if (!asks(query, 'ANY')) return next(query);
    const data = { cpu: 'ANY obsoleted', os: 'See RFC 8482' };
    const answers = [record(query.question.name, TTL_SECONDS, 'HINFO', data)];
    return { kind: 'reply', message: replyTo(query.request, { answers }) };
  },
};
