import { type Cidr, parseCidrOrAddress } from '../../../src/net/cidr.ts';
import { gathering } from '../../corefile/gather.ts';
import { suggestion, zonesOrBlock } from '../../corefile/options.ts';
import type { Line, Token } from '../../corefile/syntax.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import { parseType, type RecordType } from '../../wire/numbers.ts';
import { ACL_ACTIONS, openAcl, type AclPolicy, type AclRule } from './serve.ts';

const gather = gathering<AclRule>();

/** `acl [ZONES...] { allow|block|filter|drop [type TYPES...] [net NETWORKS...] }`. */
export const acl: Directive = {
  name: 'acl',
  repeatable: true,
  setup(context) {
    const zones = zonesOrBlock(context, context.stanza.args);
    const lines = context.stanza.body ?? [];
    if (lines.length === 0) context.fault(context.stanza.name, 'acl has no rules');
    const policies = lines.flatMap((line) => readPolicy(context, line) ?? []);
    const { list, first } = gather(context.block, [{ zones, policies }]);
    return first ? (deps) => openAcl(deps, list) : undefined;
  },
};

function readPolicy(context: SetupContext, line: Line): AclPolicy | undefined {
  const { name } = line;
  const action = ACL_ACTIONS.find((each) => each === name.text);
  if (!action) {
    const hint = suggestion(name.text, ACL_ACTIONS);
    context.fault(name, `unknown action "${name.text}" of acl${hint || `; use ${ACL_ACTIONS.join(', ')}`}`);
    return undefined;
  }
  for (const { at, keyword, values } of sections(context, line)) {
    if (values.length === 0) context.fault(at, `"${keyword}" needs something behind it, or *`);
  }
  const types = new Set<RecordType>();
  const networks: Cidr[] = [];
  let all = { types: true, networks: true };
  for (const section of sections(context, line)) {
    if (section.keyword === 'type') {
      all = { ...all, types: section.values.some(({ text }) => text === '*') };
      for (const token of section.values) readTypeInto(context, token, types);
    } else {
      all = { ...all, networks: section.values.some(({ text }) => text === '*') };
      for (const token of section.values) readNetworkInto(context, token, networks);
    }
  }
  return { action, types: all.types ? undefined : types, networks: all.networks ? undefined : networks };
}

interface Section {
  readonly at: Token;
  readonly keyword: 'type' | 'net';
  readonly values: Token[];
}

function sections(context: SetupContext, { args }: Line): readonly Section[] {
  const found: Section[] = [];
  for (const token of args) {
    if (token.text === 'type' || token.text === 'net')
      found.push({ at: token, keyword: token.text, values: [] });
    else if (found.length > 0) found.at(-1)!.values.push(token);
    else
      context.fault(
        token,
        `"${token.text}" stands before "type" or "net"${suggestion(token.text, ['type', 'net'])}`,
      );
  }
  return found;
}

function readTypeInto(context: SetupContext, token: Token, types: Set<RecordType>): void {
  const type = parseType(token.text);
  if (type) types.add(type);
  else if (token.text !== '*') context.fault(token, `"${token.text}" is not a record type or *`);
}

function readNetworkInto(context: SetupContext, token: Token, networks: Cidr[]): void {
  const { text } = token;
  const cidr = parseCidrOrAddress(text);
  if (cidr) networks.push(cidr);
  else if (text !== '*') context.fault(token, `"${text}" is not an address, a CIDR or *`);
}
