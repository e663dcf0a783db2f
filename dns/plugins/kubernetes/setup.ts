import type { Directive } from '../../plugin.ts';
import { parseKubernetes } from './parse.ts';
import { KubernetesPlugin } from './serve.ts';

export const kubernetes: Directive = {
  name: 'kubernetes',
  setup(context) {
    const { options } = parseKubernetes(context);
    return (deps) => new KubernetesPlugin(deps, options);
  },
};
