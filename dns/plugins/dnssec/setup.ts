import { resolve } from 'node:path';
import { messageOf } from '../../../src/base/fault.ts';
import { expectArgs, readInteger, readOptions, readWord, zonesOrBlock } from '../../corefile/options.ts';
import type { Token } from '../../corefile/syntax.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import { readKeyPair, type SigningKey } from './key.ts';
import { openDnssec } from './serve.ts';

const CAPACITY = 10_000;
const CAPACITY_MOST = 10_000_000;

/** `dnssec [ZONES...] { key file KEY..., cache_capacity N }`. */
export const dnssec: Directive = {
  name: 'dnssec',
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    const keys: SigningKey[] = [];
    let capacity = CAPACITY;
    readOptions(context, {
      key: (line) => {
        if (!expectArgs(context, line, 2, Infinity)) return;
        const [file, ...names] = line.args;
        if (!readWord(context, file!, ['file'])) return;
        for (const name of names) {
          const key = readKey(context, name, zones);
          if (key) keys.push(key);
        }
      },
      cache_capacity: (line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        capacity = readInteger(context, line.args[0]!, 1, CAPACITY_MOST) ?? capacity;
      },
    });
    if (keys.length === 0) context.fault(context.stanza.name, 'dnssec needs "key file KEY"');
    for (const zone of zones.filter((one) => keys.length > 0 && !keys.some((key) => key.zone === one))) {
      context.fault(context.stanza.name, `there is no key for zone ${zone}`);
    }
    return (deps) => openDnssec(deps, { zones, keys, capacity });
  },
};

function readKey(context: SetupContext, token: Token, zones: readonly string[]): SigningKey | undefined {
  try {
    const key = readKeyPair(resolve(context.root, token.text));
    if (zones.includes(key.zone)) return key;
    context.fault(token, `"${token.text}" is a key of ${key.zone}, not of ${zones.join(', ')}`);
  } catch (error) {
    context.fault(token, `"${token.text}" cannot be used: ${messageOf(error)}`);
  }
  return undefined;
}
