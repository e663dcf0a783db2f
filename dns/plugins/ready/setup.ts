import { expectArgs, readOptions, readWord } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { parseListenAddress } from '../../server/http-endpoint.ts';
import { openReady } from './serve.ts';

export const ready: Directive = {
  name: 'ready',
  setup(context) {
    if (!expectArgs(context, context.stanza, 0, 1)) return undefined;
    const token = context.stanza.args[0];
    const address = parseListenAddress(token?.text ?? ':8181');
    if (!address) context.fault(token!, `"${token!.text}" is not an address with a port, such as :8181`);
    let continuously = false;
    readOptions(context, {
      monitor: (line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        continuously = readWord(context, line.args[0]!, ['until-ready', 'continuously']) === 'continuously';
      },
    });
    return address && ((deps) => openReady(deps, { address, continuously }));
  },
};
