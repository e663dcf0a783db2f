import { parseCidr } from '../../../src/net/cidr.ts';
import { familyOf, splitHostPort } from '../../../src/net/ip.ts';
import { expectArgs, readOptions, zonesOrBlock } from '../../corefile/options.ts';
import type { Directive, Peer } from '../../plugin.ts';
import { openTransfer } from './serve.ts';

const DNS_PORT = 53;

/** `transfer [ZONES...] { to ADDRESS[:PORT]|CIDR|*... }`. */
export const transfer: Directive = {
  name: 'transfer',
  repeatable: true,
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    const allowed: string[] = [];
    const notified: Peer[] = [];
    readOptions(context, {
      to: (line) => {
        if (!expectArgs(context, line, 1, Infinity)) return;
        for (const token of line.args) {
          const { text } = token;
          const peer = familyOf(text) ? { host: text, port: DNS_PORT } : splitHostPort(text);
          if (text === '*' || parseCidr(text)) allowed.push(text);
          else if (peer && familyOf(peer.host)) {
            allowed.push(peer.host);
            notified.push({ address: peer.host, port: peer.port });
          } else context.fault(token, `"${text}" is not an address, a CIDR or *`);
        }
      },
    });
    if (allowed.length === 0) context.fault(context.stanza.name, 'transfer needs at least one "to"');
    return (deps) => openTransfer(deps, { zones, allowed, notified });
  },
};
