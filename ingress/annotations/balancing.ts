import { isExpression } from '../relay/variables.ts';
import { defaultHealth } from '../balance/health.ts';
import { isAuthority } from '../http/framing.ts';
import type { ActiveCheckPolicy, BalancePolicy, HealthPolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import { type AnnotationReader, WEFT } from './reader.ts';

/** Faster checks would be a load of their own. */
const CHECK_INTERVAL_MS_MIN = 100;

/** Rows 24 and 25: upstream-hash-by and load-balance. */
export function readBalance(read: AnnotationReader, settings: GlobalSettings): BalancePolicy {
  const algorithm = read.oneOf('load-balance', ['round_robin', 'ewma', 'least_request']);
  if (read.text('load-balance') === 'least_request')
    read.differs('load-balance', 'an algorithm of weft, unknown to ingress-nginx');
  const hashBy = read.text('upstream-hash-by');
  const usable =
    hashBy === undefined || isExpression(hashBy)
      ? hashBy
      : read.refuse('upstream-hash-by', 'names a variable that is not known here');
  return {
    algorithm: algorithm ?? settings.balance,
    hashBy: usable === '' ? undefined : usable,
    hashSubset: read.bool('upstream-hash-by-subset') ?? false,
    hashSubsetSize: read.integer('upstream-hash-by-subset-size', 1) ?? 3,
    health: readHealth(read),
    check: readCheck(read),
  };
}

/** What ingress-nginx has no annotation for: ingress.weft.dev/*. */
function readHealth(read: AnnotationReader): HealthPolicy {
  const panicPercent = read.integer(`${WEFT}panic-threshold-percent`, 0, 100);
  return {
    ...defaultHealth,
    consecutiveFailuresMax:
      read.integer(`${WEFT}outlier-failures`, 0, 1_000_000) ?? defaultHealth.consecutiveFailuresMax,
    ejectionMs: read.durationMs(`${WEFT}outlier-ejection`) ?? defaultHealth.ejectionMs,
    panicShare: panicPercent === undefined ? defaultHealth.panicShare : panicPercent / 100,
    endpointRequestsMax: read.integer(`${WEFT}endpoint-requests-max`, 1) ?? defaultHealth.endpointRequestsMax,
    slowStartMs: read.durationMs(`${WEFT}slow-start`) ?? defaultHealth.slowStartMs,
  };
}

function readCheck(read: AnnotationReader): ActiveCheckPolicy | undefined {
  const path = read.text(`${WEFT}health-check-path`);
  const host = read.fieldValue(`${WEFT}health-check-host`);
  const check = {
    host:
      host === undefined || isAuthority(host) ? host : read.refuse(`${WEFT}health-check-host`, 'is no host'),
    tls: /^(HTTPS|GRPCS)$/i.test(read.text('backend-protocol') ?? ''),
    intervalMs: Math.max(CHECK_INTERVAL_MS_MIN, read.durationMs(`${WEFT}health-check-interval`) ?? 5_000),
    timeoutMs: Math.max(1, read.durationMs(`${WEFT}health-check-timeout`) ?? 2_000),
    unhealthyCount: read.integer(`${WEFT}health-check-unhealthy-count`, 1, 1_000) ?? 3,
    healthyCount: read.integer(`${WEFT}health-check-healthy-count`, 1, 1_000) ?? 2,
  };
  if (path === undefined) return undefined;
  if (!/^\/[!-~]*$/.test(path)) return read.refuse(`${WEFT}health-check-path`, 'must be a path');
  return { path, ...check };
}
