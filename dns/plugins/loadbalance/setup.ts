import { resolve } from 'node:path';
import { parseCidr, type Cidr } from '../../../src/net/cidr.ts';
import { expectArgs, readDurationMs, readOptions } from '../../corefile/options.ts';
import type { Line } from '../../corefile/syntax.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import { openLoadBalance } from './serve.ts';

const DEFAULT_RELOAD_MS = 30_000;

/** `loadbalance [round_robin | weighted FILE { reload DURATION }] { prefer CIDR... }`. */
export const loadbalance: Directive = {
  name: 'loadbalance',
  setup(context) {
    const [policy, file] = context.stanza.args;
    const weighted = policy?.text === 'weighted';
    if (policy && policy.text !== 'round_robin' && !weighted) {
      context.fault(policy, `"${policy.text}" is not one of round_robin, weighted`);
    }
    if (!expectArgs(context, context.stanza, weighted ? 2 : 0, weighted ? 2 : 1)) return undefined;
    let reloadMs = DEFAULT_RELOAD_MS;
    const prefer: Cidr[] = [];
    readOptions(context, {
      ...(weighted && {
        reload: (line: Line) => {
          if (expectArgs(context, line, 1, 1)) reloadMs = readDurationMs(context, line.args[0]!) ?? reloadMs;
        },
      }),
      prefer: (line) => void prefer.push(...readCidrs(context, line)),
    });
    const weightFile = weighted ? resolve(context.root, file!.text) : undefined;
    return (deps) => openLoadBalance(deps, { weightFile, reloadMs, prefer });
  },
};

function readCidrs(context: SetupContext, line: Line): Cidr[] {
  if (!expectArgs(context, line, 1, Infinity)) return [];
  return line.args.flatMap((token) => {
    const cidr = parseCidr(token.text);
    if (!cidr) context.fault(token, `"${token.text}" is not a CIDR`);
    return cidr ?? [];
  });
}
