import { cidrContains, type Cidr } from '../../../src/net/cidr.ts';
import type { GatePolicy } from '../../cluster/table/client-gate.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Outcome, type Query } from '../../query.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import { replyTo } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';
import { EDE, typeNumber, type RecordType } from '../../wire/numbers.ts';

export const ACL_ACTIONS = ['allow', 'block', 'filter', 'drop'] as const;
export type AclAction = (typeof ACL_ACTIONS)[number];

export interface AclPolicy {
  readonly action: AclAction;
  /** Undefined = every type. */
  readonly types: ReadonlySet<RecordType> | undefined;
  /** Undefined = every client. */
  readonly networks: readonly Cidr[] | undefined;
}

export interface AclRule {
  readonly zones: readonly string[];
  /** The first that fits decides; none = the next rule does. */
  readonly policies: readonly AclPolicy[];
}

const COUNTED: Readonly<Record<AclAction, { readonly name: string; readonly help: string }>> = {
  allow: { name: 'coredns_acl_allowed_requests_total', help: 'Counter of DNS requests being allowed.' },
  block: { name: 'coredns_acl_blocked_requests_total', help: 'Counter of DNS requests being blocked.' },
  filter: { name: 'coredns_acl_filtered_requests_total', help: 'Counter of DNS requests being filtered.' },
  drop: { name: 'coredns_acl_dropped_requests_total', help: 'Counter of DNS requests being dropped.' },
};

/** Decides by client address and question type who gets an answer. */
export function openAcl(deps: PluginDeps, rules: readonly AclRule[]): Plugin {
  const counters = Object.fromEntries(
    ACL_ACTIONS.map((action) => [
      action,
      sharedCounter(deps, { ...COUNTED[action], labelNames: ['server', 'zone', 'view'] }),
    ]),
  );
  return {
    name: 'acl',
    gate: gateOf(deps, rules),
    answeredFromTable: (count, server) => {
      if (count > 0) counters['allow']!.inc({ server, zone: deps.block.zones[0] ?? '.', view: '' }, count);
    },
    serve: (query, next) => {
      const { action, zone } = decide(rules, query);
      counters[action]!.inc({ server: query.listener, zone, view: query.view });
      return action === 'allow' ? next(query) : outcomeOf(action, query);
    },
  };
}

/**
 * The rules for readers of the compiled table: those whom they allow need not come here. Undefined when rules are for
 * some zones only: then every question comes.
 */
function gateOf(
  { block }: Pick<PluginDeps, 'block'>,
  rules: readonly AclRule[],
): readonly GatePolicy[] | undefined {
  const forAll = rules.every(({ zones }) => zones.length === 1 && zones[0] === block.zones[0]);
  if (block.zones.length !== 1 || !forAll) return undefined;
  return rules.flatMap(({ policies }) =>
    policies.map(({ action, types, networks }) => ({
      passes: action === 'allow',
      types: types && [...types].map(typeNumber),
      networks: networks?.map(({ network, prefixBits }) => ({ network, prefixBits })),
    })),
  );
}

function decide(
  rules: readonly AclRule[],
  query: Query,
): { readonly action: AclAction; readonly zone: string } {
  let zone = query.zone;
  for (const { zones, policies } of rules) {
    const inZone = zones.find((one) => isWithin(query.name, one));
    if (inZone === undefined) continue;
    zone = inZone;
    const policy = policies.find((each) => fits(each, query));
    if (policy) return { action: policy.action, zone };
  }
  return { action: 'allow', zone };
}

function fits({ types, networks }: AclPolicy, { question, client }: Query): boolean {
  if (types && !types.has(question.type)) return false;
  return networks === undefined || networks.some((network) => cidrContains(network, client.address));
}

function outcomeOf(action: Exclude<AclAction, 'allow'>, query: Query): Outcome {
  const who = `${query.client.address} ${query.question.type} ${query.question.name}`;
  switch (action) {
    case 'block':
      return failure('REFUSED', `acl blocks ${who}`, { code: EDE.BLOCKED, text: 'blocked by acl' });
    case 'filter':
      return {
        kind: 'reply',
        message: replyTo(query.request),
        extended: { code: EDE.FILTERED, text: 'filtered by acl' },
      };
    case 'drop':
      return { kind: 'drop', reason: `acl drops ${who}` };
  }
}
