import { expectArgs, readOptions } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { parseListenAddress } from '../../server/http-endpoint.ts';
import { openPrometheus } from './serve.ts';

export const prometheus: Directive = {
  name: 'prometheus',
  setup(context) {
    if (!expectArgs(context, context.stanza, 0, 1)) return undefined;
    let runtime = false;
    readOptions(context, {
      runtime_metrics: (line) => {
        if (expectArgs(context, line, 0, 0)) runtime = true;
      },
    });
    const token = context.stanza.args[0];
    const address = parseListenAddress(token?.text ?? 'localhost:9153');
    if (!address) context.fault(token!, `"${token!.text}" is not an address with a port, such as :9153`);
    return address && ((deps) => openPrometheus(deps, address, { runtime }));
  },
};
