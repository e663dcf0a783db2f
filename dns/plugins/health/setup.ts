import { expectArgs, readDurationMs, readOptions } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { parseListenAddress } from '../../server/http-endpoint.ts';
import { openHealth } from './serve.ts';

export const health: Directive = {
  name: 'health',
  setup(context) {
    if (!expectArgs(context, context.stanza, 0, 1)) return undefined;
    const token = context.stanza.args[0];
    const address = parseListenAddress(token?.text ?? ':8080');
    if (!address) context.fault(token!, `"${token!.text}" is not an address with a port, such as :8080`);
    let lameduckMs = 0;
    readOptions(context, {
      lameduck: (line) => {
        if (expectArgs(context, line, 1, 1)) lameduckMs = readDurationMs(context, line.args[0]!) ?? 0;
      },
    });
    return address && ((deps) => openHealth(deps, { address, lameduckMs }));
  },
};
