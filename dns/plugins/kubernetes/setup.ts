import type { Directive } from '../../plugin.ts';
import { parseKubernetes } from './parse.ts';
import { KubernetesPlugin } from './serve.ts';

export const kubernetes: Directive = {
  name: 'kubernetes',
  setup(context) {
    const { options, api } = parseKubernetes(context);
    context.block.cluster = {
      pods: options.pods === 'verified',
      imports: options.multiclusterZones.length > 0,
      labelSelector: options.labels?.text,
      options,
      api,
    };
    return (deps) => KubernetesPlugin.open(deps, options);
  },
};
