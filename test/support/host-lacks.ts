import { canMakeNamespaces } from './own-network.ts';
import { missingTools } from './system-tools.ts';

/** Why a test in network namespaces with these programs cannot run here, for `context.skip`; undefined when it can. */
export function hostLacks(...tools: readonly string[]): string | undefined {
  if (!canMakeNamespaces()) return 'network namespaces need root';
  const missing = missingTools(tools);
  return missing.length > 0 ? `missing: ${missing.join(', ')}` : undefined;
}
