import type { NodeView } from '../../endpoints/node-view.ts';
import type { Evaluator } from '../backend.ts';
import type { BackendDeps, BackendOptions } from '../backends.ts';
import { familyEvaluator } from '../kernel/family-evaluator.ts';
import { KERNEL_DEFAULT } from '../config/kernel-options.ts';
import { IptablesBackend } from './backend.ts';
import { type BaseOptions, entryJumps } from './base-rules.ts';
import { evaluate, isNodeAddress } from './evaluate.ts';
import { withJumps } from '../kernel/own-chains.ts';
import { Ruleset } from './ruleset.ts';

function baseOptions({ kernel = KERNEL_DEFAULT }: Partial<BackendOptions>): BaseOptions {
  return {
    masqueradeMark: 2 ** kernel.masqueradeBit,
    dropInvalid: !kernel.conntrack.tcpBeLiberal,
    randomFully: true,
  };
}

export function openIptables(deps: BackendDeps, options: BackendOptions): Promise<IptablesBackend> {
  const variant = options.kernel?.iptablesVariant ?? 'auto';
  return IptablesBackend.open(deps, { ...baseOptions(options), family: options.family, variant });
}

/** Input for iptables-restore --noflush: what a first sync loads, with the jumps. */
export function renderIptables(view: NodeView, options: BackendOptions): string {
  return withJumps(compiled(view, baseOptions(options)).renderAll([]), entryJumps());
}

export function iptablesEvaluator(views: readonly NodeView[]): Evaluator {
  return familyEvaluator(views, (view) => {
    const { node } = view;
    const tables = compiled(view, baseOptions({})).tables();
    const isLocal = (address: string): boolean => isNodeAddress(node, address);
    const rules = { node, tables, jumps: entryJumps(), isLocal };
    return { evaluate: (packet) => evaluate(rules, packet) };
  });
}

function compiled(view: NodeView, base: BaseOptions): Ruleset {
  const ruleset = new Ruleset(view.node, base);
  ruleset.change(view, view.ports.keys(), { removeStale: true });
  return ruleset;
}
