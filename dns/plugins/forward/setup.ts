import type { Directive } from '../../plugin.ts';
import { parseForward } from './parse.ts';
import { openForward } from './serve.ts';

export const forward: Directive = {
  name: 'forward',
  repeatable: true,
  setup(context) {
    const options = parseForward(context);
    return options && ((deps) => openForward(deps, options));
  },
};
