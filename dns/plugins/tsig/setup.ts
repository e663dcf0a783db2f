import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '../../../src/base/fault.ts';
import { expectArgs, readOptions, zonesOrBlock } from '../../corefile/options.ts';
import type { Line, Token } from '../../corefile/syntax.ts';
import type { TsigSecret } from '../../block-settings.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import { foldName, parseName } from '../../wire/name.ts';
import { parseOpcode, parseType } from '../../wire/numbers.ts';
import { parseTsigAlgorithm } from '../../wire/tsig.ts';
import { readKeyFile, type NamedKey } from './key-file.ts';
import { openTsig, type Required } from './serve.ts';

/**
 * `tsig [ZONES...] { secret NAME KEY [ALGORITHM], secrets FILE, require all|none|TYPE..., require_opcode all|none|OPCODE... }`.
 * Keys are the whole server's, whatever block they stand in.
 */
export const tsig: Directive = {
  name: 'tsig',
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    let types: Required = [];
    let opcodes: Required = [];
    readOptions(context, {
      secret: (line) => {
        if (!expectArgs(context, line, 2, 3)) return;
        const [name, secret, algorithm] = line.args;
        addKey(context, name!, { name: name!.text, secret: secret!.text, algorithm: algorithm?.text });
      },
      secrets: (line) => readSecrets(context, line),
      require: (line) => void (types = readRequired(context, line, parseType, 'a record type')),
      require_opcode: (line) => void (opcodes = readRequired(context, line, parseOpcode, 'an opcode')),
    });
    return (deps) => openTsig(deps, { zones, types, opcodes });
  },
};

function readSecrets(context: SetupContext, line: Line): void {
  if (!expectArgs(context, line, 1, 1)) return;
  const [token] = line.args;
  const path = resolve(context.root, token!.text);
  try {
    const read = readKeyFile(readFileSync(path, 'utf8'));
    if (read.ok) for (const key of read.keys) addKey(context, token!, key);
    else context.fault(token!, `${token!.text}:${read.line}: ${read.reason}`);
  } catch (error) {
    context.fault(token!, `cannot read "${token!.text}": ${messageOf(error)}`);
  }
}

function addKey(context: SetupContext, at: Token, key: NamedKey): void {
  const { tsigSecrets } = context.block;
  const name = parseName(key.name);
  const secret = decodeSecret(key.secret);
  const algorithm = key.algorithm === undefined ? undefined : parseTsigAlgorithm(key.algorithm);
  if (name === undefined) context.fault(at, `"${key.name}" is not a name`);
  if (!secret) context.fault(at, `the secret of ${key.name} is not base64`);
  if (key.algorithm !== undefined && !algorithm) {
    context.fault(at, `"${key.algorithm}" is not an algorithm such as hmac-sha256`);
  }
  if (name === undefined || !secret) return;
  const made: TsigSecret = { name: foldName(name), secret, algorithm };
  if (tsigSecrets.some((other) => other.name === made.name))
    context.fault(at, `key ${key.name} stands twice`);
  tsigSecrets.push(made);
}

function decodeSecret(text: string): Uint8Array | undefined {
  const valid = /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0;
  return valid ? Uint8Array.from(Buffer.from(text, 'base64')) : undefined;
}

function readRequired(
  context: SetupContext,
  line: Line,
  parse: (text: string) => string | undefined,
  what: string,
): Required {
  if (!expectArgs(context, line, 1, Infinity)) return [];
  const [first] = line.args;
  if (first!.text === 'all') return 'all';
  if (first!.text === 'none') return [];
  return line.args.flatMap((token) => {
    const value = parse(token.text);
    if (!value) context.fault(token, `"${token.text}" is not ${what}`);
    return value ?? [];
  });
}
