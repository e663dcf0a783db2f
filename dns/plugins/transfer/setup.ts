import { parseCidr } from '../../../src/net/cidr.ts';
import { familyOf, splitHostPort } from '../../../src/net/ip.ts';
import { expectArgs, readOptions, readZones, zonesOrBlock } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import type { Peer } from '../../query.ts';
import { openTransfer } from './serve.ts';

const DNS_PORT = 53;

/** `transfer [ZONES...] { to ADDRESS[:PORT]|CIDR|*..., source ADDRESS, key NAME }`. */
export const transfer: Directive = {
  name: 'transfer',
  repeatable: true,
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    const allowed: string[] = [];
    const notified: Peer[] = [];
    let source: string | undefined;
    let key: string | undefined;
    readOptions(context, {
      source: (line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        const [token] = line.args;
        if (familyOf(token!.text)) source = token!.text;
        else context.fault(token!, `"${token!.text}" is not an address`);
      },
      key: (line) => {
        if (expectArgs(context, line, 1, 1)) [key] = readZones(context, line.args);
      },
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
    return (deps) => openTransfer(deps, { zones, allowed, notified, source, key });
  },
};
