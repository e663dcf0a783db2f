import type { NodeView } from '../../endpoints/node-view.ts';
import type { Evaluator } from '../backend.ts';
import type { BackendDeps, BackendOptions } from '../backends.ts';
import { familyEvaluator } from '../kernel/family-evaluator.ts';
import { withJumps } from '../kernel/own-chains.ts';
import { KERNEL_DEFAULT } from '../config/kernel-options.ts';
import { IpvsBackend } from './backend.ts';
import { compiledIpvs, evaluate } from './evaluate.ts';
import { renderAll, renderRules } from './render.ts';
import { ipvsJumps } from './rules.ts';
import { Ruleset } from './ruleset.ts';

export function openIpvs(deps: BackendDeps, options: BackendOptions): IpvsBackend {
  const { family, kernel = KERNEL_DEFAULT } = options;
  const { ipvs, masqueradeBit, iptablesVariant = 'auto' } = kernel;
  return IpvsBackend.open(deps, {
    family,
    masqueradeMark: 2 ** masqueradeBit,
    variant: iptablesVariant,
    ipvs,
  });
}

export function renderIpvs(view: NodeView, { kernel = KERNEL_DEFAULT }: BackendOptions): string {
  const options = { node: view.node, masqueradeMark: 2 ** kernel.masqueradeBit };
  const rules = withJumps(renderRules(options), ipvsJumps());
  return renderAll(options, rules, compiled(view, kernel.ipvs.scheduler));
}

export function ipvsEvaluator(views: readonly NodeView[]): Evaluator {
  return familyEvaluator(views, (view) => {
    const options = { node: view.node, masqueradeMark: 2 ** KERNEL_DEFAULT.masqueradeBit };
    const rules = compiledIpvs(options, compiled(view, KERNEL_DEFAULT.ipvs.scheduler));
    return { evaluate: (packet) => evaluate(rules, packet) };
  });
}

function compiled(view: NodeView, scheduler: string): Ruleset {
  const ruleset = new Ruleset({ node: view.node, scheduler });
  ruleset.change(view, view.ports.keys());
  return ruleset;
}
