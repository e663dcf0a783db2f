import { canaryTakes } from '../balance/canary.ts';
import type { RouteTable } from '../compile/route-table.ts';
import type { Target } from '../compile/route.ts';
import type { Question } from '../explain/question.ts';
import { contextOf } from '../relay/context.ts';
import { decide } from '../relay/decide.ts';
import type { GlobalSettings } from '../settings.ts';

/** One side of a comparison. */
export interface Side {
  readonly table: RouteTable;
  readonly settings: GlobalSettings;
}

/** Who answers a request: `namespace/service:port`, a share of two of them, or `404`, `308 to https://...`. */
export function fateOf({ table, settings }: Side, { head, connection }: Question): string {
  const verdict = decide(table, contextOf(head, connection, settings));
  if (verdict.kind === 'reply') {
    const location = verdict.reply.fields.get('location');
    return location === undefined ? String(verdict.reply.status) : `${verdict.reply.status} to ${location}`;
  }
  const { route } = verdict.routed;
  if (!route.canary) return named(route.target);
  const { policy, target } = route.canary;
  const least = canaryTakes(policy, verdict.routed, () => 1 - Number.EPSILON);
  if (canaryTakes(policy, verdict.routed, () => 0) === least) return named(least ? target : route.target);
  const percent = Math.round((policy.weight / policy.weightTotal) * 100);
  return `${named(target)} ${percent} %, else ${named(route.target)}`;
}

/** A redirect may name the host and path of the request: all of its class go the same way. */
export function generalFate(fate: string, host: string, path: string): string {
  const located = /^(\d{3} to https?:\/\/)([^/]+)(\/.*)$/.exec(fate);
  if (!located) return fate;
  const [, start, toHost, toPath] = located as unknown as [string, string, string, string];
  return start + (toHost === host ? '$host' : toHost) + (toPath === path ? '$path' : toPath);
}

function named(target: Target): string {
  return target.kind === 'service' ? target.key : '404';
}
