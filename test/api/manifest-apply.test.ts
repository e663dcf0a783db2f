import { expect, test } from 'vitest';
import { createApiClient } from '../../src/api/client/api-client.ts';
import { applyObjects } from '../../src/api/client/manifest-apply.ts';
import type { ManifestObject } from '../../src/api/client/manifest-parse.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { HttpExchange } from '../../src/net/http-exchange.ts';

function manifestObject(kind: string, name: string): ManifestObject {
  const object = { apiVersion: 'v1', kind, metadata: { name, namespace: 'shop' } };
  return { object, file: 'all.yaml', lineOf: () => 1 };
}

test('neighbours of one kind are applied at once, an object named again after the one before', async () => {
  const running = new Set<string>();
  let most = 0;
  const exchange: HttpExchange = async ({ target }) => {
    const path = target.split('?')[0]!;
    expect(running, 'one object at a time').not.toContain(path);
    const kinds = new Set([...running, path].map((each) => each.split('/').at(-2)));
    expect(kinds.size, 'one kind at a time').toBe(1);
    running.add(path);
    most = Math.max(most, running.size);
    await new Promise((resolve) => setImmediate(resolve));
    running.delete(path);
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: path.split('/').at(-1) } };
    const body = (async function* () {
      yield Buffer.from(JSON.stringify(object));
    })();
    return { status: 201, headers: { 'content-type': 'application/json' }, body };
  };
  const objects = [
    ...Array.from({ length: 40 }, (_, i) => manifestObject('ConfigMap', `c${i}`)),
    manifestObject('ConfigMap', 'c39'),
    manifestObject('Secret', 'key'),
  ];
  const told: string[] = [];
  const results = await applyObjects(
    { client: createApiClient(exchange, { userAgent: 'test' }), clock: systemClock },
    objects,
    { fieldManager: 'weft', onApplied: ({ source }) => told.push(source.object.metadata.name) },
    new AbortController().signal,
  );
  expect(results.map(({ error }) => error?.message)).toEqual(objects.map(() => undefined));
  expect(told).toEqual(objects.map(({ object }) => object.metadata.name));
  expect(most).toBeGreaterThan(4);
  expect(most).toBeLessThanOrEqual(16);
});
