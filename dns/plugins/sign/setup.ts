import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { messageOf } from '../../../src/base/fault.ts';
import { expectArgs, readOptions, readWord, zonesOrBlock } from '../../corefile/options.ts';
import type { Line, Token } from '../../corefile/syntax.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import type { SigningKey } from '../dnssec/key.ts';
import { faultKeylessZones, readKey } from '../dnssec/read-keys.ts';
import { openSign } from './serve.ts';

const DIRECTORY = '/var/lib/coredns';

/** `sign DBFILE [ZONES...] { key file KEY... | key directory DIR..., directory DIR }`. */
export const sign: Directive = {
  name: 'sign',
  repeatable: true,
  setup(context) {
    if (!expectArgs(context, context.stanza, 1, Infinity)) return undefined;
    const [path, ...tokens] = context.stanza.args;
    const zones = zonesOrBlock(context, tokens);
    const keys: SigningKey[] = [];
    let directory = DIRECTORY;
    readOptions(context, {
      key: (line) => void keys.push(...readKeys(context, line, zones)),
      directory: (line) => {
        if (expectArgs(context, line, 1, 1)) directory = resolve(context.root, line.args[0]!.text);
      },
    });
    faultKeylessZones(context, zones, keys);
    const options = { path: resolve(context.root, path!.text), zones, keys };
    return (deps) => openSign(deps, { ...options, directory });
  },
};

function readKeys(context: SetupContext, line: Line, zones: readonly string[]): SigningKey[] {
  if (!expectArgs(context, line, 2, Infinity)) return [];
  const [kind, ...names] = line.args;
  const word = readWord(context, kind!, ['file', 'directory']);
  const files = word === 'directory' ? names.flatMap((name) => keysIn(context, name, zones)) : names;
  return files.flatMap((name) => readKey(context, name, zones) ?? []);
}

/** The pairs of a folder that are named after one of the zones. */
function keysIn(context: SetupContext, token: Token, zones: readonly string[]): Token[] {
  const folder = resolve(context.root, token.text);
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.key') && zones.some((zone) => name.startsWith(`K${zone}+`)))
      .map((name) => ({ ...token, text: join(folder, name) }));
  } catch (error) {
    context.fault(token, `"${token.text}" cannot be read: ${messageOf(error)}`);
    return [];
  }
}
