import { viewEvaluator } from '../../proxy/packet/evaluate.ts';
import { evaluatorCases } from '../suites/backend.ts';

for (const mode of ['iptables', 'nftables', 'ipvs'] as const)
  evaluatorCases({ mode, evaluator: (views) => viewEvaluator(views, mode) });
