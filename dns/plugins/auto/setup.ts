import { resolve } from 'node:path';
import type { Fallthrough } from '../../fallthrough.ts';
import { expectArgs, readDurationMs, readOptions, readZones, zonesOrBlock } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { compileRegex, readRegex, type UserRegex } from '../../user-regex.ts';
import { openAuto } from './serve.ts';

const RELOAD_MS = 60_000;
const DEFAULT_PATTERN = 'db\\.(.*)';
const DEFAULT_ORIGIN = '{1}';

/** `auto [ZONES...] { directory DIR [REGEXP ORIGIN_TEMPLATE], reload DURATION, reload_by_mtime, fallthrough [ZONES...] }`. */
export const auto: Directive = {
  name: 'auto',
  repeatable: true,
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    let directory: string | undefined;
    let pattern: UserRegex | undefined = defaultPattern();
    let origin = DEFAULT_ORIGIN;
    let reloadMs = RELOAD_MS;
    let bySerial = true;
    let fallthrough: Fallthrough;
    readOptions(context, {
      directory: (line) => {
        if (!expectArgs(context, line, 1, 3)) return;
        const [folder, regexp, template] = line.args;
        directory = resolve(context.root, folder!.text);
        if (!regexp) return;
        pattern = readRegex(context, regexp);
        if (!template) context.fault(regexp, 'a REGEXP needs an ORIGIN_TEMPLATE such as {1} behind it');
        origin = template?.text ?? origin;
      },
      reload: (line) => {
        if (expectArgs(context, line, 1, 1)) reloadMs = readDurationMs(context, line.args[0]!) ?? reloadMs;
      },
      reload_by_mtime: (line) => {
        if (expectArgs(context, line, 0, 0)) bySerial = false;
      },
      fallthrough: (line) => void (fallthrough = readZones(context, line.args)),
      upstream: () => {},
    });
    if (directory === undefined) {
      context.fault(context.stanza.name, 'auto needs "directory DIR"');
      return undefined;
    }
    const options = { zones, directory, origin, reloadMs, bySerial, fallthrough };
    const chosen = pattern;
    return chosen && ((deps) => openAuto(deps, { ...options, pattern: chosen }));
  },
};

function defaultPattern(): UserRegex | undefined {
  const regex = compileRegex(DEFAULT_PATTERN);
  return 'test' in regex ? regex : undefined;
}
