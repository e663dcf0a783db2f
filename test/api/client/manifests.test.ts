import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { applyOrder } from '../../../src/api/client/manifest-apply.ts';
import { ManifestMemory } from '../../../src/api/client/manifest-memory.ts';
import { formatManifestError, parseManifests } from '../../../src/api/client/manifest-parse.ts';
import { readManifests } from '../../../src/api/client/manifest-read.ts';
import { openManifestSource } from '../../../src/api/client/manifest-source.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { waitFor } from '../../support/wait-for.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-manifests-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const configMap = (name: string, extra = ''): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n${extra}`;
const names = (text: string): string[] =>
  parseManifests(text, 'f').objects.map(({ object }) => object.metadata.name);
const faults = (text: string): string[] => parseManifests(text, 'f').errors.map(formatManifestError);

describe('parsing', () => {
  it('reads streams, lists in YAML and JSON, and says where each object is', () => {
    const list = `apiVersion: v1\nkind: List\nitems:\n- ${configMap('b').replaceAll('\n', '\n  ')}`;
    const { objects } = parseManifests(`${configMap('a')}---\n${list}`, 'f');
    expect(objects.map(({ object, lineOf }) => [object.metadata.name, lineOf('')])).toEqual([
      ['a', 1],
      ['b', 9],
    ]);
    expect(
      names(
        JSON.stringify({
          kind: 'List',
          apiVersion: 'v1',
          items: [{ apiVersion: 'v1', kind: 'X', metadata: { name: 'j' } }],
        }),
      ),
    ).toEqual(['j']);
    expect(names('# only a comment\n---\n')).toEqual([]);
  });

  it('reads scalars as Kubernetes does', () => {
    const objects = parseManifests(
      configMap('a', 'data: {on: yes, time: 22:22, day: 2001-01-01, mode: 0644}'),
      'f',
    ).objects;
    expect(objects.map(({ object }) => (object as { data?: unknown }).data)[0]).toEqual({
      true: true,
      time: '22:22',
      day: '2001-01-01',
      mode: 420,
    });
  });

  const cases: [string, string, string][] = [
    ['no name', 'apiVersion: v1\nkind: Pod\nmetadata: {}\n', 'f:3: metadata.name: is required'],
    ['no kind', 'apiVersion: v1\nmetadata: {name: a}\n', 'f:1: kind: is required'],
    [
      'label that is no string',
      configMap('a', '  labels:\n    on: "x"\n    count: 1\n'),
      'f:7: metadata.labels.count: must be a string, not 1; put it in quotes',
    ],
    ['a scalar', 'hello\n', 'f:1: must be an object with apiVersion, kind and metadata'],
  ];
  it.each(cases)('names file, line and field: %s', (_name, text, fault) => {
    expect(faults(text)).toEqual([fault]);
  });

  it('keeps the other documents of a file with a fault, and refuses YAML bombs', () => {
    expect(names(`${configMap('a')}---\nkind: [\n---\n${configMap('b')}`)).toContain('a');
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${Array.from(
      { length: 8 },
      (_, i) =>
        `b${i}: &b${i} [${Array(9)
          .fill(i ? `*b${i - 1}` : '*a')
          .join(',')}]`,
    ).join('\n')}\n`;
    expect(faults(bomb)[0]).toContain('alias');
  });

  it.each([
    ['', 1],
    ['metadata.name', 3],
    ['spec.ports[1].port', 8],
    ['spec.ports[1].targetPort', 7],
    ['spec.ports[9].port', 6],
    ['status', 1],
  ])('finds the line of %j, or of the nearest that is written', (field, line) => {
    const text =
      'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n' +
      '  - {name: a, port: 1}\n  - name: b\n    port: 70000\n';
    expect(parseManifests(text, 'f').objects[0]?.lineOf(field)).toBe(line);
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseManifests(text, 'f')));
    fc.assert(fc.property(fc.json(), (text) => void parseManifests(text, 'f')));
  });

  it('orders by dependence, keeping the written order within a kind', () => {
    const kinds = ['Ingress', 'Deployment', 'Widget', 'Service', 'Namespace', 'Deployment'];
    const sources = kinds.map((kind, i) => ({
      object: { apiVersion: 'v1', kind, metadata: { name: `${i}` } },
      file: 'f',
      lineOf: () => 1,
    }));
    expect(applyOrder(sources).map(({ object }) => object.kind + object.metadata.name)).toEqual([
      'Namespace4',
      'Service3',
      'Deployment1',
      'Deployment5',
      'Widget2',
      'Ingress0',
    ]);
  });
});

describe('reading and following', () => {
  it('reads a folder in name order, standard input, and reports what is missing', async () => {
    await writeFile(join(folder, 'b.yaml'), configMap('b'));
    await writeFile(
      join(folder, 'a.json'),
      JSON.stringify({ apiVersion: 'v1', kind: 'X', metadata: { name: 'a' } }),
    );
    await writeFile(join(folder, 'note.txt'), 'not a manifest');
    const stdin = (async function* () {
      yield await Promise.resolve(Buffer.from(configMap('in')));
    })();
    const found = await readManifests([folder, '-', join(folder, 'none')], { stdin });
    expect(found.objects.map(({ object }) => object.metadata.name)).toEqual(['a', 'b', 'in']);
    expect(found.errors[0]?.message).toContain('ENOENT');
  });

  it('parses what has changed since the last reading, no more', () => {
    const memory = new ManifestMemory();
    const read = (texts: Readonly<Record<string, string>>): readonly unknown[] => {
      const found = Object.entries(texts).map(([file, text]) => memory.parse(text, file));
      memory.turn();
      return found;
    };
    const [a, b, bad] = read({ a: configMap('a'), b: configMap('b'), bad: 'kind: [' });
    const [sameA, otherB, sameBad] = read({ a: configMap('a'), b: configMap('c'), bad: 'kind: [' });
    expect([sameA === a, sameBad === bad]).toEqual([true, true]);
    expect(otherB).toMatchObject({
      objects: [{ object: { metadata: { name: 'c' } }, file: 'b' }],
      errors: [],
    });
    expect(read({ b: configMap('b') })).toEqual([b]);
    // what was left out of a reading is forgotten
    expect(read({ a: configMap('a') })[0]).not.toBe(a);
  });

  it('follows changes, and keeps the last good state of a file that stops parsing', async () => {
    const file = join(folder, 'a.yaml');
    await writeFile(file, `${configMap('a')}---\n${configMap('b')}`);
    const calls: string[] = [];
    const sink = {
      upsert: ({ metadata }: { metadata: { name: string; namespace?: string } }) =>
        calls.push(`+${metadata.namespace}/${metadata.name}`),
      remove: ({ metadata }: { metadata: { name: string } }) => calls.push(`-${metadata.name}`),
      synced: (_apiVersion: string, kind: string) => kind === 'ConfigMap' && calls.push('synced'),
    };
    await using source = await openManifestSource(
      [folder],
      [sink],
      { clock: systemClock, log: silentLogger },
      { follow: true },
    );
    expect(calls.splice(0)).toEqual(['+default/a', '+default/b', 'synced']);
    await writeFile(file, 'kind: [');
    await waitFor('the fault is seen', () => source.errors.length > 0);
    expect(calls).toEqual([]);
    await writeFile(join(folder, 'next'), configMap('a', 'data: {k: v}\n'));
    await rename(join(folder, 'next'), file);
    await waitFor('the change is seen', () => calls.includes('-b') && calls.includes('+default/a'));
    expect(source.errors).toEqual([]);
  });
});
