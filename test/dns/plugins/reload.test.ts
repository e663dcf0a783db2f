import { expect, test } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { TestFolder } from '../support/folder.ts';
import { openServer, type TestServer } from '../support/server.ts';

const VERSION = 'coredns_reload_version_info';

async function versions({ metrics }: TestServer): Promise<readonly string[]> {
  const values = (await metrics.getSingleMetric(VERSION)?.get())?.values ?? [];
  expect(values.every(({ value, labels }) => value === 1 && labels['hash'] === 'sha512')).toBe(true);
  return values.map(({ labels }) => String(labels['value']));
}

test('the version of the Corefile is a metric, once for several blocks, as long as it answers', async () => {
  using folder = new TestFolder({ more: 'whoami\n' });
  await using on = await openServer(`a. b. {\n reload\n import ${folder.at('more')}\n}\nc. {\n reload\n}\n`);
  const [first, ...others] = await versions(on);
  expect(first).toMatch(/^[0-9a-f]{128}$/);
  expect(others).toEqual([]);

  expect(await on.server.reload()).toBe(true);
  await waitFor('the same version', async () => (await versions(on)).join() === first);
  folder.write('more', 'whoami\n# another\n');
  expect(await on.server.reload({ onlyIfChanged: true })).toBe(true);
  await waitFor('another version alone', async () => {
    const [now, ...more] = await versions(on);
    return now !== first && more.length === 0;
  });
});

test('without reload there is no version', async () => {
  await using on = await openServer('a. {\n whoami\n}\n');
  expect(on.metrics.getSingleMetric(VERSION)).toBeUndefined();
});
