import { defaultSettings } from '../default-settings.ts';
import { defaultPolicy } from './default-policy.ts';
import type { Route } from './route.ts';

/** Stands for "no rule" where a route is asked for: in logs and counters. */
export const noRoute: Route = {
  host: '',
  path: '',
  pathType: 'Prefix',
  ingress: { namespace: '', name: '' },
  target: { kind: 'none', reason: 'default backend' },
  policy: { ...defaultPolicy(defaultSettings(false)), errors: undefined },
  canary: undefined,
  hostHasTls: false,
  acmeChallenge: false,
  id: '',
};
