import { expectArgs, expectNoBody } from '../../corefile/options.ts';
import type { Directive, PluginDeps } from '../../plugin.ts';
import { sharedCounter } from '../../plugin-metrics.ts';

/** `shed`: what comes over UDP while too much is under way is dropped without a word instead of answered SERVFAIL. */
export const shed: Directive = {
  name: 'shed',
  setup(context) {
    const { block, stanza } = context;
    expectArgs(context, stanza, 0, 0);
    expectNoBody(context);
    if (block.keys.some(({ scheme }) => scheme !== 'dns')) {
      context.fault(stanza.name, 'shed is for blocks on UDP: without tls:// and https:// keys');
    }
    return (deps) => {
      const dropped = droppedCounter(deps);
      block.shed = () => dropped.inc({ server: deps.listener, reason: 'query' });
      return { name: 'shed', transparent: true, serve: (query, next) => next(query) };
    };
  },
};

function droppedCounter(deps: PluginDeps): ReturnType<typeof sharedCounter<'server' | 'reason'>> {
  return sharedCounter(deps, {
    name: 'coredns_shed_dropped_total',
    help: 'Counter of dropped queries and responses.',
    labelNames: ['server', 'reason'],
  });
}
