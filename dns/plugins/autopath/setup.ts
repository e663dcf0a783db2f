import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expectArgs, expectNoBody, readZones } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { parseResolvConf } from '../forward/resolv-conf.ts';
import { openAutopath } from './serve.ts';

/** `autopath [ZONES...] FILE|@PLUGIN`. */
export const autopath: Directive = {
  name: 'autopath',
  setup(context) {
    if (!expectArgs(context, context.stanza, 1, Infinity)) return undefined;
    expectNoBody(context);
    const tokens = [...context.stanza.args];
    const source = tokens.pop()!;
    const zones = tokens.length > 0 ? readZones(context, tokens) : [...context.block.zones];
    if (source.text.startsWith('@')) {
      const plugin = source.text.slice(1);
      return (deps) => openAutopath(deps, { zones, plugin, search: undefined });
    }
    try {
      const { search } = parseResolvConf(readFileSync(resolve(context.root, source.text), 'utf8'));
      return (deps) => openAutopath(deps, { zones, plugin: undefined, search });
    } catch (error) {
      context.fault(source, `cannot read "${source.text}": ${(error as Error).message}`);
      return undefined;
    }
  },
};
