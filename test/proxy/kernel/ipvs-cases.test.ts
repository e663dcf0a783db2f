import { modeEvaluator } from '../../../proxy/backends.ts';
import { evaluatorCases } from '../../suites/backend.ts';

evaluatorCases({ mode: 'ipvs', evaluator: (views) => modeEvaluator('ipvs', views) });
