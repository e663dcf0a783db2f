import type { HealthPolicy } from '../policy.ts';
import type { EndpointState } from '../upstream/cluster.ts';

export const defaultHealth: HealthPolicy = {
  consecutiveFailuresMax: 5,
  ejectionMs: 10_000,
  ejectionMsMax: 300_000,
  panicShare: 0.5,
  endpointRequestsMax: 10_000,
  slowStartMs: 0,
};

export function isAvailable(endpoint: EndpointState, nowMs: number): boolean {
  return endpoint.healthy && endpoint.ejectedUntilMs <= nowMs;
}

/** True when too few endpoints are available to obey health. */
export function inPanic(endpoints: readonly EndpointState[], nowMs: number, options: HealthPolicy): boolean {
  let available = 0;
  for (const endpoint of endpoints) if (isAvailable(endpoint, nowMs)) available++;
  return available < endpoints.length * options.panicShare;
}

/** Books a failure; enough in a row take the endpoint out for a while that grows each time. */
export function noteFailure(endpoint: EndpointState, nowMs: number, options: HealthPolicy): boolean {
  endpoint.failures++;
  endpoint.consecutiveFailures++;
  if (options.consecutiveFailuresMax === 0 || endpoint.consecutiveFailures < options.consecutiveFailuresMax)
    return false;
  endpoint.consecutiveFailures = 0;
  endpoint.ejections++;
  endpoint.ejectedUntilMs = nowMs + Math.min(options.ejectionMsMax, options.ejectionMs * endpoint.ejections);
  return true;
}

export function noteSuccess(endpoint: EndpointState): void {
  endpoint.consecutiveFailures = 0;
  if (endpoint.ejections > 0 && endpoint.ejectedUntilMs > 0) {
    endpoint.ejections--;
    endpoint.ejectedUntilMs = 0;
  }
}

/** The share a new endpoint may have of its full one: from a tenth up to all. */
export function slowStartShare(endpoint: EndpointState, nowMs: number, slowStartMs: number): number {
  if (slowStartMs === 0) return 1;
  return Math.min(1, Math.max(0.1, (nowMs - endpoint.addedMs) / slowStartMs));
}

const EWMA_DECAY_MS = 10_000;

/** Peak EWMA: a slower answer counts at once, a faster one by and by. */
export function noteLatency(endpoint: EndpointState, latencyMs: number, nowMs: number): void {
  if (latencyMs > endpoint.latencyMs) endpoint.latencyMs = latencyMs;
  else {
    const weight = Math.exp(-(nowMs - endpoint.latencyStampMs) / EWMA_DECAY_MS);
    endpoint.latencyMs = endpoint.latencyMs * weight + latencyMs * (1 - weight);
  }
  endpoint.latencyStampMs = nowMs;
}
