import { expectArgs, readDurationMs, readInteger, readOptions } from '../../corefile/options.ts';
import type { Line } from '../../corefile/syntax.ts';
import type { TransportSettings } from '../../block-settings.ts';
import type { Directive, SetupContext } from '../../plugin.ts';

const LEAST_MS = 1000;
const MOST_MS = 24 * 3600 * 1000;
const MOST_QUERIES = 2 ** 31 - 1;

/** `timeouts { read DURATION, write DURATION, idle DURATION, maxtcpqueries N }`: of connections (TCP, TLS, HTTPS). */
export const timeouts: Directive = {
  name: 'timeouts',
  setup(context) {
    const { block, stanza } = context;
    expectArgs(context, stanza, 0, 0);
    if ((stanza.body ?? []).length === 0) {
      context.fault(stanza.name, 'timeouts needs at least one of read, write, idle, maxtcpqueries');
    }
    readOptions(context, {
      read: duration(context, 'readMs'),
      write: duration(context, 'writeMs'),
      idle: duration(context, 'idleMs'),
      maxtcpqueries: (line) => {
        if (!expectArgs(context, line, 1, 1)) return;
        const [token] = line.args;
        const most = token!.text === '-1' ? Infinity : readInteger(context, token!, 1, MOST_QUERIES);
        if (most !== undefined) block.transport.queriesMax = most;
      },
    });
    return undefined;
  },
};

/** A bare number counts seconds. */
function duration(context: SetupContext, field: 'readMs' | 'writeMs' | 'idleMs'): (line: Line) => void {
  const { transport }: { transport: TransportSettings } = context.block;
  return (line) => {
    if (!expectArgs(context, line, 1, 1)) return;
    const [token] = line.args;
    const text = /^\d+$/.test(token!.text) ? `${token!.text}s` : token!.text;
    const ms = readDurationMs(context, { ...token!, text });
    if (ms === undefined) return;
    if (ms < LEAST_MS || ms > MOST_MS) context.fault(token!, `"${token!.text}" is not from 1s to 24h`);
    else transport[field] = ms;
  };
}
