import { expectArgs } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';

/** Turns on what helps to find faults and costs nothing else: `_why.NAME` TXT answers. */
export const debug: Directive = {
  name: 'debug',
  setup(context) {
    expectArgs(context, context.stanza, 0, 0);
    context.block.debug = true;
    return undefined;
  },
};
