import type { NodeView } from '../../endpoints/node-view.ts';
import { familyOf } from '../../src/net/ip.ts';
import type { Evaluator, Verdict } from '../backend.ts';

const PASS: Verdict = { verdict: 'pass', backends: [], masquerade: false, hairpin: [], affinity: null };

/** Compiles each family's view once; a packet of a family that is not served passes. */
export function familyEvaluator(
  views: readonly NodeView[],
  compile: (view: NodeView) => Evaluator,
): Evaluator {
  const sides = views.map((view) => ({ family: view.node.family, rules: compile(view) }));
  return {
    evaluate: (packet) => {
      const family = familyOf(packet.destinationAddress);
      return sides.find((side) => side.family === family)?.rules.evaluate(packet) ?? PASS;
    },
  };
}
