import type { Directive } from '../../plugin.ts';
import { parseCache } from './parse.ts';
import { openCache } from './serve.ts';

export const cache: Directive = {
  name: 'cache',
  setup(context) {
    const options = parseCache(context);
    return (deps) => openCache(deps, options);
  },
};
