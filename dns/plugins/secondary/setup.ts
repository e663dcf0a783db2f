import type { Fallthrough } from '../../fallthrough.ts';
import { familyOf, splitHostPort } from '../../../src/net/ip.ts';
import { expectArgs, readOptions, readWord, readZones, zonesOrBlock } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import type { Peer } from '../../query.ts';
import { openSecondary } from './serve.ts';

const DNS_PORT = 53;

/** `secondary [ZONES...] { transfer from ADDRESS[:PORT]..., key NAME, catalog [ZONES...], fallthrough [ZONES...] }`. */
export const secondary: Directive = {
  name: 'secondary',
  repeatable: true,
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    const primaries: Peer[] = [];
    let key: string | undefined;
    let catalog: readonly string[] | undefined;
    let fallthrough: Fallthrough;
    readOptions(context, {
      transfer: (line) => {
        if (!expectArgs(context, line, 2, Infinity)) return;
        const [from, ...addresses] = line.args;
        if (!readWord(context, from!, ['from'])) return;
        for (const token of addresses) {
          const { text } = token;
          const split = familyOf(text) ? { host: text, port: DNS_PORT } : splitHostPort(text);
          if (split && familyOf(split.host)) primaries.push({ address: split.host, port: split.port });
          else context.fault(token, `"${text}" is not an address such as 192.0.2.1 or [2001:db8::1]:53`);
        }
      },
      key: (line) => {
        if (expectArgs(context, line, 1, 1)) [key] = readZones(context, line.args);
      },
      catalog: (line) => {
        // Without names once = all; else those of every line.
        const all = line.args.length === 0 || catalog?.length === 0;
        catalog = all ? [] : [...(catalog ?? []), ...readZones(context, line.args)];
      },
      fallthrough: (line) => void (fallthrough = readZones(context, line.args)),
    });
    if (primaries.length === 0) context.fault(context.stanza.name, 'secondary needs "transfer from ADDRESS"');
    return (deps) => openSecondary(deps, { zones, primaries, key, catalog, fallthrough });
  },
};
