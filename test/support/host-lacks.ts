import { describe, it } from 'vitest';
import { canMakeNamespaces } from './own-network.ts';
import { missingTools } from './system-tools.ts';

/** Why a test in network namespaces with these programs cannot run here, for `context.skip`; undefined when it can. */
export function hostLacks(...tools: readonly string[]): string | undefined {
  return canMakeNamespaces() ? toolsLacking(...tools) : 'network namespaces need root';
}

/** Why a test with these programs cannot run here; undefined when it can. */
export function toolsLacking(...tools: readonly string[]): string | undefined {
  const missing = missingTools(tools);
  return missing.length > 0 ? `missing: ${missing.join(', ')}` : undefined;
}

/** `describe`, or where something is lacking one skipped test in its place that says what. */
export function describeUnless(lacks: string | undefined): (name: string, tests: () => void) => void {
  if (lacks === undefined) return (name, tests) => void describe(name, tests);
  return (name) => it(name, (context) => context.skip(lacks));
}
