import type { NodeSettings } from '../../endpoints/node-view.ts';
import { parseCidr } from '../../src/net/cidr.ts';
import type { Family } from '../../src/net/ip.ts';
import { affinityMaps, PORTED, renderRemember, renderSticky } from './affinity-rules.ts';
import { DECLARATIONS, FIELD, NODE_DECLARATIONS } from './elements.ts';
import type { Action, Condition, Key, ProgramChain, ProgramRule } from './program.ts';

/** The table that weft owns in each family. */
export const TABLE = 'weft';
/** Clients remembered at most, over all services with ClientIP affinity; the kernel refuses more. */
export const AFFINITY_MAX_CLIENTS = 1_048_576;

export interface RenderContext {
  readonly family: Family;
  /** The mark that asks for masquerading, one bit. */
  readonly masqueradeMark: number;
  readonly node: NodeSettings;
  /** Elements count the connections that meet them. */
  readonly counted: boolean;
}

const tableOf = (family: Family): string => `${family === 'IPv6' ? 'ip6' : 'ip'} ${TABLE}`;

/** Declares the table, its sets and maps. Repeating it on an existing table changes nothing. */
export function renderDeclarations({ family, counted }: RenderContext): string {
  const ip = family === 'IPv6' ? 'ip6' : 'ip';
  const address = family === 'IPv6' ? 'ipv6_addr' : 'ipv4_addr';
  const table = tableOf(family);
  const lines = [`add table ${table} { comment "rules of weft"; }`];
  for (const [name, declaration] of Object.entries({ ...DECLARATIONS, ...NODE_DECLARATIONS })) {
    const text = declaration.replaceAll('{ip}', ip).replaceAll('{a}', address);
    const [kind, body] = splitDeclaration(text.replace('{count}', counted ? ' counter;' : ''));
    lines.push(`add ${kind} ${table} ${name} ${body}`);
  }
  for (const [name, types] of affinityMaps(family))
    lines.push(
      `add map ${table} ${name} { typeof ${types}; flags dynamic,timeout; size ${AFFINITY_MAX_CLIENTS}; }`,
    );
  return `${lines.join('\n')}\n`;
}

function splitDeclaration(text: string): [string, string] {
  const space = text.indexOf(' ');
  return [text.slice(0, space), text.slice(space + 1)];
}

/** Creates the chains; their rules come with `renderRules`, because rules may refer to later chains. */
export function renderChains(context: RenderContext, chains: readonly ProgramChain[]): string {
  const table = tableOf(context.family);
  const lines = chains.map(
    (chain) => `add chain ${table} ${chain.name}${chain.hook ? ` { ${chain.hook}; }` : ''}`,
  );
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

export function renderRules(context: RenderContext, chains: readonly ProgramChain[]): string {
  const table = tableOf(context.family);
  const lines: string[] = [];
  for (const chain of chains) {
    for (const rule of chain.rules) {
      for (const text of renderRule(context, rule)) lines.push(`add rule ${table} ${chain.name} ${text}`);
    }
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** One `add element` or `delete element` command a map, however many elements. */
export function renderElements(
  family: Family,
  verb: 'add' | 'delete',
  elements: Iterable<readonly [string, string]>,
): string {
  const byMap = new Map<string, string[]>();
  for (const [id, value] of elements) {
    const cut = id.indexOf(FIELD);
    const map = id.slice(0, cut);
    const key = id.slice(cut + 1);
    const text = verb === 'add' && value !== '' ? `${key} : ${value}` : key;
    const list = byMap.get(map);
    if (list) list.push(text);
    else byMap.set(map, [text]);
  }
  let out = '';
  for (const [map, list] of byMap)
    out += `${verb} element ${tableOf(family)} ${map} { ${list.join(', ')} }\n`;
  return out;
}

/** None when the rule can match no packet. */
function renderRule(context: RenderContext, rule: ProgramRule): string[] {
  const conditions = rule.when.map((condition) => renderCondition(context, condition));
  if (conditions.includes(undefined)) return [];
  const { action } = rule;
  const actions =
    action.kind === 'remember'
      ? renderRemember(context.family, action.timeoutSeconds)
      : [renderAction(context, action)];
  return actions.map((text) => [...conditions, text].join(' '));
}

/** Undefined: the condition can never hold on this node, so the rule is left out. */
function renderCondition(context: RenderContext, condition: Condition): string | undefined {
  const ip = context.family === 'IPv6' ? 'ip6' : 'ip';
  switch (condition.kind) {
    case 'in-set':
      return `${renderKey(context.family, condition.key)} ${condition.negate ? '!= ' : ''}@${condition.set}`;
    case 'source-local':
      return 'fib saddr type local';
    case 'pod':
      return renderPod(context, condition.negate === true);
    case 'new':
      return 'ct state new';
    case 'translated':
      return 'ct status dnat';
    case 'group-set':
      return 'meta priority != 0';
    case 'service-cidr': {
      const cidrs = ofFamily(context.node.serviceCIDRs, context.family);
      return cidrs.length === 0 ? undefined : `${ip} daddr { ${cidrs.join(', ')} }`;
    }
    case 'marked':
      return `meta mark and ${context.masqueradeMark} != 0`;
  }
}

function renderPod(context: RenderContext, negate: boolean): string | undefined {
  const detect = context.node.detectLocal;
  const not = negate ? '!= ' : '';
  switch (detect.mode) {
    case 'ClusterCIDR':
    case 'NodeCIDR': {
      const cidrs = ofFamily(detect.cidrs, context.family);
      return cidrs.length === 0
        ? undefined
        : `${context.family === 'IPv6' ? 'ip6' : 'ip'} saddr ${not}{ ${cidrs.join(', ')} }`;
    }
    case 'BridgeInterface':
      return `iifname ${not}"${detect.bridge}"`;
    case 'InterfaceNamePrefix':
      return `iifname ${not}"${detect.prefix}*"`;
    case 'None':
      return undefined;
  }
}

function ofFamily(cidrs: readonly string[], family: Family): string[] {
  return cidrs.filter((cidr) => parseCidr(cidr)?.family === family);
}

function renderKey(family: Family, key: Key): string {
  const ip = family === 'IPv6' ? 'ip6' : 'ip';
  const keys: Readonly<Record<Key, string>> = {
    destination: `${ip} daddr . meta l4proto . th dport`,
    'destination-source': `${ip} daddr . meta l4proto . th dport . ${ip} saddr`,
    'destination-address': `${ip} daddr`,
    port: 'meta l4proto . th dport',
    'source-endpoint': `${ip} saddr . ${ip} daddr`,
    group: 'meta priority',
  };
  return keys[key];
}

function renderAction(context: RenderContext, action: Exclude<Action, { kind: 'remember' }>): string {
  const { family } = context;
  const ip = family === 'IPv6' ? 'ip6' : 'ip';
  switch (action.kind) {
    case 'load-group':
      return `meta priority set ${renderKey(family, action.key)} map @${action.map}`;
    case 'verdict-map':
      return `${renderKey(family, action.key)} vmap @${action.map}`;
    case 'goto':
    case 'jump':
      return `${action.kind} ${action.chain}`;
    case 'mark':
      return `meta mark set meta mark or ${context.masqueradeMark}`;
    case 'dnat-random':
      return `${PORTED} dnat ${ip} to meta priority . numgen random mod ${action.endpoints} map @endpoints`;
    case 'dnat-sticky':
      return renderSticky(family);
    case 'drop':
    case 'reject':
    case 'return':
      return action.kind;
    case 'clear-group':
      return 'meta priority set 0';
    case 'unmark-masquerade':
      return `meta mark set meta mark xor ${context.masqueradeMark} masquerade fully-random`;
    case 'masquerade':
      return 'masquerade fully-random';
  }
}
