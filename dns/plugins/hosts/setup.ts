import { resolve } from 'node:path';
import { expectArgs, readDurationMs, readInteger, readOptions, readZones } from '../../corefile/options.ts';
import type { Line } from '../../corefile/syntax.ts';
import type { Directive } from '../../plugin.ts';
import { familyOf } from '../../../src/net/ip.ts';
import { openHosts, type HostsOptions } from './serve.ts';

/** `hosts [FILE [ZONES...]] { ADDRESS NAMES... | options }`. */
export const hosts: Directive = {
  name: 'hosts',
  setup(context) {
    const [file, ...zones] = context.stanza.args;
    const options: { -readonly [K in keyof HostsOptions]: HostsOptions[K] } = {
      path: resolve(context.root, file?.text ?? '/etc/hosts'),
      mustExist: false,
      inline: [],
      zones: zones.length > 0 ? readZones(context, zones) : [...context.block.zones],
      ttlSeconds: 3600,
      reloadMs: 5000,
      reverse: true,
      strict: context.strict,
      fallthrough: undefined,
      fallthroughUnsupported: false,
    };
    const inline: string[] = [];
    const readers = {
      ttl: (line: Line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        options.ttlSeconds = readInteger(context, line.args[0]!, 1, 2 ** 31 - 1) ?? options.ttlSeconds;
      },
      reload: (line: Line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        options.reloadMs = readDurationMs(context, line.args[0]!) ?? options.reloadMs;
      },
      no_reverse: (line: Line) => {
        if (expectArgs(context, line, 0, 0)) options.reverse = false;
      },
      fallthrough: (line: Line) => void (options.fallthrough = readZones(context, line.args)),
      fallthrough_unsupported: (line: Line) => {
        if (expectArgs(context, line, 0, 0)) options.fallthroughUnsupported = true;
      },
    };
    const body = context.stanza.body ?? [];
    for (const line of body) {
      if (familyOf(line.name.text)) inline.push([line.name, ...line.args].map(({ text }) => text).join(' '));
    }
    const rest = body.filter((line) => !familyOf(line.name.text));
    readOptions({ ...context, stanza: { ...context.stanza, body: rest } }, readers);
    if (options.fallthroughUnsupported && options.fallthrough === undefined) {
      context.fault(context.stanza.name, 'fallthrough_unsupported widens fallthrough: it needs that too');
    }
    options.inline = inline;
    return (deps) => openHosts(deps, options);
  },
};
