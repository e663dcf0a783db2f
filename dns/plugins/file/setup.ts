import { resolve } from 'node:path';
import type { Fallthrough } from '../../fallthrough.ts';
import { expectArgs, readDurationMs, readOptions, readZones, zonesOrBlock } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { openFile } from './serve.ts';

const RELOAD_MS = 60_000;

/** `file DBFILE [ZONES...] { reload DURATION, reload_by_mtime, fallthrough [ZONES...] }`. */
export const file: Directive = {
  name: 'file',
  repeatable: true,
  setup(context) {
    if (!expectArgs(context, context.stanza, 1, Infinity)) return undefined;
    const [path, ...zones] = context.stanza.args;
    let reloadMs = RELOAD_MS;
    let bySerial = true;
    let fallthrough: Fallthrough;
    readOptions(context, {
      reload: (line) => {
        if (expectArgs(context, line, 1, 1)) reloadMs = readDurationMs(context, line.args[0]!) ?? reloadMs;
      },
      reload_by_mtime: (line) => {
        if (expectArgs(context, line, 0, 0)) bySerial = false;
      },
      fallthrough: (line) => void (fallthrough = readZones(context, line.args)),
      upstream: () => {},
    });
    const options = {
      path: resolve(context.root, path!.text),
      zones: zonesOrBlock(context, zones),
    };
    return (deps) => openFile(deps, { ...options, reloadMs, bySerial, fallthrough });
  },
};
