import { waitFor } from '../../../support/wait-for.ts';
import type { Call } from '../support.ts';

export const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** A definition of widgets.example.com with one version; `version` fields lay over it. */
export function widgetDefinition(properties: object, version: object = {}, spec: object = {}): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'], categories: ['all'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } },
          },
          ...version,
        },
      ],
      ...spec,
    },
  };
}

export const WIDGETS = '/apis/example.com/v1/namespaces/default/widgets';

export const widget = (name: string, spec: object, more: object = {}): object => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec,
  ...more,
});

/** Creates the definition and waits until its kinds are served. */
export async function define(call: Call, definition: object): Promise<void> {
  const made = await call('POST', DEFINITIONS, definition);
  if (made.status !== 201) throw new Error(made.text);
  await established(call, made.body.metadata.name);
}

export async function established(call: Call, name: string): Promise<void> {
  await waitFor(`${name} to be established`, async () => {
    const { body } = await call('GET', `${DEFINITIONS}/${name}`);
    return body.status.conditions.some(
      (one: { type: string; status: string }) => one.type === 'Established' && one.status === 'True',
    );
  });
}
