import { availableParallelism } from 'node:os';
import { expectArgs, expectNoBody, readInteger } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';

const SOCKETS_MOST = 1024;

/** `multisocket [N]`: UDP sockets, each with a thread, on the ports of the block; default one a processor. */
export const multisocket: Directive = {
  name: 'multisocket',
  setup(context) {
    expectArgs(context, context.stanza, 0, 1);
    expectNoBody(context);
    const [token] = context.stanza.args;
    const count = token ? readInteger(context, token, 1, SOCKETS_MOST) : availableParallelism();
    context.block.transport.sockets = count;
    return undefined;
  },
};
