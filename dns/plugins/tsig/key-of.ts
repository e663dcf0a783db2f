import { Fault } from '../../../src/base/fault.ts';
import type { PluginDeps } from '../../plugin.ts';
import type { TsigKey } from '../../wire/tsig.ts';

/** A key that another plugin names. Throws Fault TSIG_KEY_UNKNOWN. */
export function tsigKey({ host }: PluginDeps, name: string): TsigKey {
  const key = host.tsigKey(name);
  if (!key)
    throw new Fault(
      'TSIG_KEY_UNKNOWN',
      `there is no key ${name}: give it with "secret" or "secrets" of tsig`,
    );
  return key;
}
