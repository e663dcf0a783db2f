import { expectArgs, expectNoBody, readWord, readZones } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { openFamilies } from './serve.ts';

/** `families auto|ipv4|ipv6 [ZONES...]`: which addresses the clients can use. */
export const families: Directive = {
  name: 'families',
  setup(context) {
    if (!expectArgs(context, context.stanza, 1, Infinity)) return undefined;
    expectNoBody(context);
    const [word, ...rest] = context.stanza.args;
    const family = readWord(context, word!, ['auto', 'ipv4', 'ipv6']);
    const zones = rest.length > 0 ? readZones(context, rest) : [...context.block.zones];
    return family && ((deps) => openFamilies(deps, { family, zones }));
  },
};
