import { modeEvaluator } from '../../../proxy/backends.ts';
import { evaluatorCases } from '../../suites/backend.ts';

evaluatorCases({ mode: 'nftables', evaluator: (views) => modeEvaluator('nftables', views) });
