import { describe, expect, it } from 'vitest';
import { chainHash } from '../../../proxy/iptables/chain-names.ts';
import { modeEvaluator } from '../../../proxy/backends.ts';
import { evaluatorCases } from '../../suites/backend.ts';

it('names chains as kube-proxy does', () => expect(chainHash('ns1/svc1:p80tcp')).toBe('XPGD46QRK7WJZT7O'));

describe('compiled rules', () => {
  evaluatorCases({ mode: 'iptables', evaluator: (views) => modeEvaluator('iptables', views) });
});
