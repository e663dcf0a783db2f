import { resolve } from 'node:path';
import { messageOf } from '../../../src/base/fault.ts';
import type { Token } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';
import { readKeyPair, type SigningKey } from './key.ts';

/** The pair of files a word names, relative to the Corefile; it must be a key of one of the zones. */
export function readKey(
  context: SetupContext,
  token: Token,
  zones: readonly string[],
): SigningKey | undefined {
  try {
    const key = readKeyPair(resolve(context.root, token.text));
    if (zones.includes(key.zone)) return key;
    context.fault(token, `"${token.text}" is a key of ${key.zone}, not of ${zones.join(', ')}`);
  } catch (error) {
    context.fault(token, `"${token.text}" cannot be used: ${messageOf(error)}`);
  }
  return undefined;
}

/** Every zone needs a key. */
export function faultKeylessZones(
  context: SetupContext,
  zones: readonly string[],
  keys: readonly SigningKey[],
): void {
  const { name } = context.stanza;
  if (keys.length === 0) return context.fault(name, `${name.text} needs "key file KEY"`);
  for (const zone of zones.filter((one) => !keys.some((key) => key.zone === one))) {
    context.fault(name, `there is no key for zone ${zone}`);
  }
}
