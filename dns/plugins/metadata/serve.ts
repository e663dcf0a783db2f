import type { Plugin, PluginDeps } from '../../plugin.ts';

/** Lets every plugin of the chain that knows facts put them into the query; values are computed when read. */
export function openMetadata(deps: PluginDeps, applies: (name: string) => boolean): Plugin {
  return {
    name: 'metadata',
    transparent: true,
    serve: (query, next) => {
      if (applies(query.name)) for (const plugin of deps.chain.plugins) plugin.facts?.(query);
      return next(query);
    },
  };
}
