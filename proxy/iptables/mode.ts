import type { NodeView } from '../../endpoints/node-view.ts';
import { renderRule } from '../../src/net/iptables-rule.ts';
import type { Evaluator } from '../backend.ts';
import type { BackendDeps, BackendOptions } from '../backends.ts';
import { familyEvaluator } from '../family-evaluator.ts';
import { MASQUERADE_BIT_DEFAULT } from '../kernel-options.ts';
import { IptablesBackend } from './backend.ts';
import { type BaseOptions, entryJumps } from './base-rules.ts';
import { evaluate } from './evaluate.ts';
import { Ruleset } from './ruleset.ts';

function baseOptions({ kernel }: Partial<BackendOptions>): BaseOptions {
  return {
    masqueradeMark: 2 ** (kernel?.masqueradeBit ?? MASQUERADE_BIT_DEFAULT),
    dropInvalid: kernel?.conntrack.tcpBeLiberal !== true,
    randomFully: true,
  };
}

export function openIptables(deps: BackendDeps, options: BackendOptions): Promise<IptablesBackend> {
  const variant = options.kernel?.iptablesVariant ?? 'auto';
  return IptablesBackend.open(deps, { ...baseOptions(options), family: options.family, variant });
}

/** Input for iptables-restore --noflush: what a first sync loads, with the jumps. */
export function renderIptables(view: NodeView, options: BackendOptions): string {
  const text = compiled(view, baseOptions(options)).renderAll([]);
  const jumps = (table: string): string =>
    entryJumps()
      .filter((entry) => entry.table === table)
      .toReversed()
      .map(({ chain, rule }) => `-I ${chain} 1 ${renderRule(rule)}\n`)
      .join('');
  const [filter = '', nat = ''] = text.split('COMMIT\n');
  return `${filter}${jumps('filter')}COMMIT\n${nat}${jumps('nat')}COMMIT\n`;
}

export function iptablesEvaluator(views: readonly NodeView[]): Evaluator {
  return familyEvaluator(views, (view) => {
    const rules = { node: view.node, tables: compiled(view, baseOptions({})).tables() };
    return { evaluate: (packet) => evaluate(rules, packet) };
  });
}

function compiled(view: NodeView, base: BaseOptions): Ruleset {
  const ruleset = new Ruleset(view.node, base);
  ruleset.change(view, view.ports.keys(), { removeStale: true });
  return ruleset;
}
