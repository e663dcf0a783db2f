import { describe, expect, test } from 'vitest';
import { builtinKinds } from '../../../src/api/kinds/builtin.ts';
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  compareVersions,
  servedVersions,
} from '../../../src/api/kinds/discovery.ts';
import type { JsonObject } from '../../../src/api/kinds/json-value.ts';
import { loadDescriptions } from '../../../src/api/kinds/openapi/descriptions.ts';
import { openApiV3 } from '../../../src/api/kinds/openapi/document.ts';
import type { KindInfo } from '../../../src/api/kinds/registry.ts';
import { builtinSchema } from '../../../src/api/kinds/schema/builtin-schema.ts';
import { structuralSchema } from '../../../src/api/kinds/schema/structural-schema.ts';

const kinds = builtinKinds();
const served = servedVersions(kinds);

const CRON_TAB = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: {
        replicas: { type: 'integer', default: 1 },
        hosts: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        ports: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['port'],
          items: { type: 'object', properties: { port: { type: 'integer' } } },
        },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
      },
    },
  },
};

function customKind(): KindInfo {
  const [base] = kinds;
  if (!base) throw new Error('no kinds');
  const own = {
    group: 'stable.example.com',
    version: 'v1',
    kind: 'CronTab',
    plural: 'crontabs',
    singular: 'crontab',
  };
  return {
    ...base,
    ...own,
    namespaced: true,
    subresources: [],
    schema: structuralSchema(CRON_TAB),
    openApiSchema: CRON_TAB,
  };
}

function resourceNames(group: string, version: string): string[] {
  const list = apiResourceList(served, group, version) ?? { resources: [] };
  return (list['resources'] as { name: string }[]).map((one) => one.name);
}

describe('discovery', () => {
  test('versions are sorted as Kubernetes does', () => {
    const versions = ['v1beta1', 'foo', 'v1', 'v10', 'v2alpha1', 'v2', 'v1beta2', 'v1alpha1'];
    expect(versions.sort(compareVersions)).toEqual([
      'v10',
      'v2',
      'v1',
      'v1beta2',
      'v1beta1',
      'v2alpha1',
      'v1alpha1',
      'foo',
    ]);
  });

  test('both forms tell of the same resources', () => {
    const items = [true, false].flatMap(
      (core) => aggregatedDiscovery(served, core, 'v2')['items'] as JsonObject[],
    );
    const names = items.flatMap((group) =>
      (group['versions'] as JsonObject[]).flatMap((version) =>
        (version['resources'] as { resource: string; subresources?: { subresource: string }[] }[]).flatMap(
          (one) => [
            one.resource,
            ...(one.subresources ?? []).map((sub) => `${one.resource}/${sub.subresource}`),
          ],
        ),
      ),
    );
    const old = served.flatMap(({ group, version }) => resourceNames(group, version));
    expect(names).toEqual(old);
    expect(names).toContain('deployments/scale');
    expect(names).toContain('pods/eviction');
    expect(names).toContain('serviceaccounts/token');
  });

  test('subresources of other groups say so', () => {
    const resources = apiResourceList(served, '', 'v1')?.['resources'] as { name: string }[];
    expect(resources.find((one) => one.name === 'pods/eviction')).toMatchObject({
      group: 'policy',
      version: 'v1',
      kind: 'Eviction',
    });
  });

  test('groups', () => {
    expect(apiGroupList(served)['groups']).toHaveLength(new Set(kinds.map((kind) => kind.group)).size - 1);
    expect(apiGroup(served, 'apps')).toMatchObject({
      kind: 'APIGroup',
      preferredVersion: { groupVersion: 'apps/v1' },
    });
    expect(apiGroup(served, 'nothing.io')).toBeUndefined();
    expect(apiResourceList(served, 'apps', 'v2')).toBeUndefined();
  });
});

describe('OpenAPI v3', () => {
  test('every reference leads somewhere and every kind can be patched', async () => {
    const descriptions = await loadDescriptions();
    for (const { group, version, kinds: own } of served) {
      const text = JSON.stringify(openApiV3(own, descriptions));
      const document = JSON.parse(text) as {
        paths: Record<string, Record<string, JsonObject>>;
        components: { schemas: JsonObject };
      };
      for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
        expect(document.components.schemas).toHaveProperty([name]);
      }
      for (const kind of own.filter((one) => !one.virtual)) {
        const root = group ? `/apis/${group}/${version}` : `/api/${version}`;
        const path = `${root}/${kind.namespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}/{name}`;
        expect(document.paths[path]?.['patch']).toMatchObject({
          'x-kubernetes-group-version-kind': { group, version, kind: kind.kind },
          requestBody: { content: { 'application/strategic-merge-patch+json': {} } },
          parameters: expect.arrayContaining([
            expect.objectContaining({ name: 'fieldValidation', in: 'query' }),
          ]),
        });
      }
    }
  });

  test('merge keys and descriptions are there', async () => {
    const apps = served.find((one) => one.group === 'apps')?.kinds ?? [];
    const document = openApiV3(apps, await loadDescriptions());
    const { schemas } = document['components'] as { schemas: Record<string, JsonObject> };
    expect(schemas['io.k8s.api.core.v1.Container']).toMatchObject({
      required: ['name'],
      properties: {
        ports: {
          description: expect.stringContaining('List of ports to expose'),
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
          'x-kubernetes-patch-merge-key': 'containerPort',
          'x-kubernetes-patch-strategy': 'merge',
        },
      },
    });
  });

  test('custom resources have no strategic merge', async () => {
    const document = openApiV3([customKind()], await loadDescriptions());
    const text = JSON.stringify(document);
    expect(text).not.toContain('strategic-merge-patch');
    expect(text).toContain('com.example.stable.v1.CronTab');
    expect(text).toContain('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');
  });
});

describe('schemas', () => {
  test('of built-in types', () => {
    const ports = builtinSchema('core/v1.PodSpec').field('containers')?.items()?.field('ports');
    expect(ports).toMatchObject({
      type: 'list',
      listType: 'map',
      listMapKeys: ['containerPort', 'protocol'],
      patchMergeKey: 'containerPort',
    });
    expect(ports?.items()?.field('protocol')?.default).toBe('TCP');
    const service = builtinSchema('core/v1.ServiceSpec');
    expect(service.field('selector')).toMatchObject({ type: 'map', mapType: 'atomic' });
    expect(service.field('nothing')).toBeUndefined();
    expect(builtinSchema('core/v1.Volume').field('emptyDir')?.definition).toBe(
      'core/v1.EmptyDirVolumeSource',
    );
    expect(builtinSchema('apps/v1.DeploymentSpec').field('strategy')?.patchStrategy).toEqual(['retainKeys']);
    expect(builtinSchema('core/v1.ObjectReference').mapType).toBe('atomic');
    expect(() => builtinSchema('core/v1.Nothing')).toThrow('no generated type');
  });

  test('of custom resources', () => {
    const root = structuralSchema(CRON_TAB);
    const spec = root.field('spec');
    expect(root.field('metadata')?.field('labels')?.type).toBe('map');
    expect(root.field('other')).toBeUndefined();
    expect(spec?.field('replicas')).toMatchObject({ type: 'integer', default: 1 });
    expect(spec?.field('hosts')).toMatchObject({ type: 'list', listType: 'set' });
    expect(spec?.field('ports')).toMatchObject({ listType: 'map', listMapKeys: ['port'] });
    expect(spec?.field('free')).toMatchObject({ type: 'object', preserveUnknown: true });
    expect(spec?.field('labels')?.field('any')?.type).toBe('string');
    expect(structuralSchema(undefined).field('spec')).toBeUndefined();
  });
});
