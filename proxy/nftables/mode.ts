import type { NodeView } from '../../endpoints/node-view.ts';
import type { Evaluator } from '../backend.ts';
import type { BackendDeps, BackendOptions } from '../backends.ts';
import { familyEvaluator } from '../kernel/family-evaluator.ts';
import { KERNEL_DEFAULT } from '../config/kernel-options.ts';
import { NftablesBackend, renderTable, stateOf } from './backend.ts';
import { evaluate } from './evaluate.ts';
import { Ruleset } from './ruleset.ts';
import { countsTraffic } from './traffic.ts';

const masqueradeMark = ({ kernel = KERNEL_DEFAULT }: BackendOptions): number => 2 ** kernel.masqueradeBit;

export function openNftables(deps: BackendDeps, options: BackendOptions): Promise<NftablesBackend> {
  return NftablesBackend.open(deps, { family: options.family, masqueradeMark: masqueradeMark(options) });
}

export function renderNftables(view: NodeView, options: BackendOptions): string {
  const ruleset = compiled(view);
  const context = {
    family: options.family,
    node: view.node,
    masqueradeMark: masqueradeMark(options),
    counted: countsTraffic(view),
  };
  return renderTable(context, ruleset, stateOf(context, ruleset));
}

export function nftablesEvaluator(views: readonly NodeView[]): Evaluator {
  return familyEvaluator(views, (view) => {
    const { chains, elements } = compiled(view);
    const rules = { node: view.node, chains, elements };
    return { evaluate: (packet) => evaluate(rules, packet) };
  });
}

function compiled(view: NodeView): Ruleset {
  const ruleset = new Ruleset(view);
  ruleset.change(view, view.ports.keys());
  return ruleset;
}
