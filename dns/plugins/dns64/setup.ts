import { formatCidr, parseCidr, type Cidr } from '../../../src/net/cidr.ts';
import { expectArgs, readOptions } from '../../corefile/options.ts';
import type { Token } from '../../corefile/syntax.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import { openDns64 } from './serve.ts';

/** RFC 6052 section 2.1. */
const WELL_KNOWN_PREFIX = '64:ff9b::/96';
const PREFIX_BITS: readonly number[] = [32, 40, 48, 56, 64, 96];

/** `dns64 [PREFIX] { prefix PREFIX, translate_all, allow_ipv4 }`. */
export const dns64: Directive = {
  name: 'dns64',
  setup(context) {
    if (!expectArgs(context, context.stanza, 0, 1)) return undefined;
    let prefix = parseCidr(WELL_KNOWN_PREFIX)!;
    let translateAll = false;
    let allowIPv4 = false;
    const read = (token: Token): void => {
      prefix = readPrefix(context, token) ?? prefix;
    };
    if (context.stanza.args[0]) read(context.stanza.args[0]);
    readOptions(context, {
      prefix: (line) => {
        if (expectArgs(context, line, 1, 1)) read(line.args[0]!);
      },
      translate_all: (line) => {
        if (expectArgs(context, line, 0, 0)) translateAll = true;
      },
      allow_ipv4: (line) => {
        if (expectArgs(context, line, 0, 0)) allowIPv4 = true;
      },
    });
    return (deps) => openDns64(deps, { prefix, translateAll, allowIPv4 });
  },
};

function readPrefix(context: SetupContext, token: Token): Cidr | undefined {
  const cidr = parseCidr(token.text);
  if (cidr?.family !== 'IPv6' || !PREFIX_BITS.includes(cidr.prefixBits)) {
    context.fault(
      token,
      `"${token.text}" is not an IPv6 prefix of ${PREFIX_BITS.join(', ')} bits (RFC 6052)`,
    );
    return undefined;
  }
  const whole = formatCidr(cidr);
  if (cidr.prefixBits === 96 && cidr.network[8] !== 0) {
    context.fault(token, `bits 64 to 71 of "${whole}" must be zero (RFC 6052 section 2.2)`);
    return undefined;
  }
  return cidr;
}
