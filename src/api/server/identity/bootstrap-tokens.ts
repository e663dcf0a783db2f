import { timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../../base/clock.ts';
import { objectAt, stringAt } from '../../kinds/json-value.ts';
import type { KindRegistry } from '../../kinds/registry.ts';
import type { ObjectStore } from '../verbs/object-store.ts';
import type { TokenVerifier } from './authenticator.ts';

const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** Tokens `id.secret` that new nodes join with: Secrets bootstrap-token-ID in kube-system. */
export function bootstrapTokens(deps: {
  readonly objects: ObjectStore;
  readonly registry: KindRegistry;
  readonly clock: Clock;
}): TokenVerifier {
  return (token) => {
    const [, id = '', secret = ''] = TOKEN.exec(token) ?? [];
    const kind = deps.registry.find('', 'v1', 'secrets');
    const entry = id && kind ? deps.objects.get(kind, 'kube-system', `bootstrap-token-${id}`) : undefined;
    if (!entry || entry.object['type'] !== 'bootstrap.kubernetes.io/token') return undefined;
    if (entry.object.metadata.deletionTimestamp) return undefined;
    const data = objectAt(entry.object, 'data');
    const text = (field: string): string => Buffer.from(stringAt(data, field), 'base64').toString('utf8');
    if (text('token-id') !== id || !sameSecret(text('token-secret'), secret)) return undefined;
    const expiration = text('expiration');
    if (expiration && !(Date.parse(expiration) > deps.clock.nowMs())) return undefined;
    if (text('usage-bootstrap-authentication') !== 'true') return undefined;
    const extra = text('auth-extra-groups')
      .split(',')
      .filter((group) => EXTRA_GROUP.test(group));
    return { username: `system:bootstrap:${id}`, groups: ['system:bootstrappers', ...extra] };
  };
}

function sameSecret(one: string, two: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(two)];
  return left.length === right.length && timingSafeEqual(left, right);
}
