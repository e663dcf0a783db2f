import { expectArgs, expectNoBody } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { openLoop } from './serve.ts';

export const loop: Directive = {
  name: 'loop',
  setup(context) {
    expectArgs(context, context.stanza, 0, 0);
    expectNoBody(context);
    return (deps) => openLoop(deps);
  },
};
