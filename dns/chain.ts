import type { Plugin } from './plugin.ts';
import { failure, type Handler, type Outcome } from './query.ts';

/** What stands behind the last plugin (CoreDNS: "no next plugin found"). */
const endOfChain: Handler = () => failure('SERVFAIL', 'no plugin answers this name');

/** Folds plugins, in order, into one handler. Each outcome remembers the innermost plugin that made it. */
export function composeChain(plugins: readonly Plugin[]): Handler {
  return plugins.reduceRight<Handler>(
    (next, plugin) => (query) => named(plugin.serve(query, next), plugin.name),
    endOfChain,
  );
}

function named(outcome: Outcome | Promise<Outcome>, plugin: string): Outcome | Promise<Outcome> {
  if (outcome instanceof Promise) return outcome.then((settled) => credit(settled, plugin));
  return credit(outcome, plugin);
}

function credit(outcome: Outcome, plugin: string): Outcome {
  return outcome.plugin === undefined ? { ...outcome, plugin } : outcome;
}
