import { familyOf } from '../../../src/net/ip.ts';
import { expectArgs, expectNoBody } from '../../corefile/options.ts';
import type { Directive, Plugin } from '../../plugin.ts';
import { record, replyTo } from '../../wire/message.ts';

/** `whoami`: tells the client its own address, port and transport in the additional section. */
export const whoami: Directive = {
  name: 'whoami',
  setup(context) {
    expectArgs(context, context.stanza, 0, 0);
    expectNoBody(context);
    return () => plugin;
  },
};

const plugin: Plugin = {
  name: 'whoami',
  serve: ({ question: { name }, client, transport, request }) => {
    const { address, port } = client;
    const own =
      familyOf(address) === 'IPv6' ? record(name, 0, 'AAAA', { address }) : record(name, 0, 'A', { address });
    const proto = transport === 'udp' ? '_udp' : '_tcp';
    const service = record(name === '.' ? `${proto}.` : `${proto}.${name}`, 0, 'SRV', {
      priority: 0,
      weight: 0,
      port,
      target: '.',
    });
    const message = replyTo(request, { authoritative: true, additionals: [own, service] });
    return { kind: 'reply', message };
  },
};
