import type { Directive } from '../../plugin.ts';
import { zonesOrBlock } from '../../corefile/options.ts';
import { isWithin } from '../../wire/name.ts';
import { openMetadata } from './serve.ts';

/** `metadata [ZONES...]`: gathers facts for the plugins behind. */
export const metadata: Directive = {
  name: 'metadata',
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    return (deps) => openMetadata(deps, (name) => zones.some((zone) => isWithin(name, zone)));
  },
};
