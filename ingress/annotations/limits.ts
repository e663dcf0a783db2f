import type { LimitPolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import type { AnnotationReader } from './reader.ts';

/** Row 21: limit-*. */
export function readLimits(read: AnnotationReader, settings: GlobalSettings): LimitPolicy | undefined {
  const allowlist = read.cidrs('limit-allowlist');
  const whitelist = read.cidrs('limit-whitelist');
  const policy: LimitPolicy = {
    connections: read.integer('limit-connections') ?? 0,
    perSecond: read.integer('limit-rps') ?? 0,
    perMinute: read.integer('limit-rpm') ?? 0,
    burstMultiplier: read.integer('limit-burst-multiplier', 1, 10_000) ?? 5,
    exempt: allowlist ?? whitelist ?? [],
    status: settings.limitStatus,
  };
  for (const name of ['limit-rate', 'limit-rate-after']) {
    read.integer(name);
    if (read.has(name)) read.refuse(name, 'answers are not slowed down');
  }
  return policy.connections > 0 || policy.perSecond > 0 || policy.perMinute > 0 ? policy : undefined;
}
