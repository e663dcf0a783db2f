import { expectArgs, readInteger, readOptions, readWord, zonesOrBlock } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import type { SigningKey } from './key.ts';
import { faultKeylessZones, readKey } from './read-keys.ts';
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
    faultKeylessZones(context, zones, keys);
    return (deps) => openDnssec(deps, { zones, keys, capacity });
  },
};
