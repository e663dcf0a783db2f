import { expectArgs, readInteger, readOptions, readZones, zonesOrBlock } from '../../corefile/options.ts';
import { isReverseZone } from '../../cluster/options.ts';
import type { Directive } from '../../plugin.ts';
import { openExternal, type ExternalOptions } from './serve.ts';

/** `k8s_external [ZONES...] { apex LABEL; ttl N; headless; fallthrough [ZONES...] }`. */
export const k8sExternal: Directive = {
  name: 'k8s_external',
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    const options: { -readonly [K in keyof ExternalOptions]: ExternalOptions[K] } = {
      zones,
      primaryZone: zones.find((zone) => !isReverseZone(zone)) ?? zones[0] ?? '.',
      apex: 'dns',
      ttlSeconds: 5,
      headless: false,
      fallthrough: undefined,
    };
    readOptions(context, {
      apex: (line) => {
        if (expectArgs(context, line, 1, 1)) options.apex = line.args[0]!.text.toLowerCase();
      },
      ttl: (line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        options.ttlSeconds = readInteger(context, line.args[0]!, 0, 3600) ?? options.ttlSeconds;
      },
      headless: (line) => {
        if (expectArgs(context, line, 0, 0)) options.headless = true;
      },
      fallthrough: (line) => void (options.fallthrough = readZones(context, line.args)),
    });
    return (deps) => openExternal(deps, options);
  },
};
