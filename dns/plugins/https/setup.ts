import { expectArgs, readInteger, readOptions } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';

const CONNECTIONS_MOST = 1_000_000;

/** `https { max_connections N }`: for the https:// keys of the block; 0 = as many as other connections. */
export const https: Directive = {
  name: 'https',
  setup(context) {
    const { block, stanza } = context;
    expectArgs(context, stanza, 0, 0);
    if (!block.keys.some(({ scheme }) => scheme === 'https')) {
      context.fault(stanza.name, 'https is for blocks with an https:// key');
    }
    readOptions(context, {
      max_connections: (line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        const most = readInteger(context, line.args[0]!, 0, CONNECTIONS_MOST);
        if (most !== undefined && most > 0) block.transport.httpsConnections = most;
      },
    });
    return undefined;
  },
};
