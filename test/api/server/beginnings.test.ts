import { describe, expect, it } from 'vitest';
import { type Beginning, Beginnings } from '../../../src/api/server/cache/beginnings.ts';
import { MASTER, openTestServer, watchFrames } from './support.ts';

/** Makes `count` pieces and notes each that was made. */
function* making(count: number, made: string[], name: string): Generator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    made.push(`${name}${i}`);
    yield Buffer.from(`${name}${i}`);
  }
}

async function sent(beginning: Beginning): Promise<string[]> {
  const texts: string[] = [];
  for await (const piece of beginning.pieces) texts.push(Buffer.from(piece).toString());
  return texts;
}

describe('what watches begin with', () => {
  it('is made once for all that begin at the same state, however far each of them has come', async () => {
    const beginnings = new Beginnings();
    const made: string[] = [];
    const open = (): Beginning => beginnings.open('pods', 1, () => making(3, made, 'a'));
    const first = open();
    const pieces = (first.pieces as Iterable<Uint8Array>)[Symbol.iterator]();
    pieces.next();
    expect(made).toEqual(['a0']);
    const second = open();
    expect(await sent(second)).toEqual(['a0', 'a1', 'a2']);
    expect(Buffer.from(pieces.next().value as Uint8Array).toString()).toBe('a1');
    expect(made).toEqual(['a0', 'a1', 'a2']);
    first[Symbol.dispose]();
    expect(beginnings.size).toBe(1);
    second[Symbol.dispose]();
    expect(beginnings.size).toBe(0);
  });

  it('is made anew when the objects have changed, while the old one is still sent to who asked before', async () => {
    const beginnings = new Beginnings();
    const made: string[] = [];
    const before = beginnings.open('pods', 1, () => making(2, made, 'old'));
    const after = beginnings.open('pods', 2, () => making(1, made, 'new'));
    expect(await sent(after)).toEqual(['new0']);
    expect(await sent(before)).toEqual(['old0', 'old1']);
    before[Symbol.dispose]();
    expect(beginnings.size).toBe(1); // the newer one is not let go with it
    after[Symbol.dispose]();
    expect(beginnings.size).toBe(0);
  });

  it('of another form or prefix is another', async () => {
    const beginnings = new Beginnings();
    using pods = beginnings.open('pods', 1, () => making(1, [], 'pods'));
    using services = beginnings.open('services', 1, () => making(1, [], 'services'));
    expect(await sent(pods)).toEqual(['pods0']);
    expect(await sent(services)).toEqual(['services0']);
  });
});

describe('watches of more than one piece', () => {
  const TABLE = 'application/json;as=Table;g=meta.k8s.io;v=v1';
  const MAPS = '/api/v1/namespaces/kube-system/configmaps';
  const QUERY = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';

  it.each([
    ['as JSON, made once', '', {}],
    ['by a selector', '&labelSelector=on', {}],
    ['as tables', '', { accept: TABLE }],
  ] as const)(
    '%s, show everything in order, the end mark, and what came meanwhile',
    async (_, more, headers) => {
      await using test = await openTestServer();
      const data = { filler: 'x'.repeat(2_000) };
      const create = (name: string): Promise<unknown> =>
        test.call('POST', MAPS, { metadata: { name, labels: { on: 'yes' } }, data });
      const names = Array.from({ length: 60 }, (_value, i) => `map-${String(i).padStart(2, '0')}`);
      await Promise.all(names.map(create));
      const abort = new AbortController();
      const open = (): ReturnType<typeof watchFrames> =>
        watchFrames(test.server.exchange(MASTER), `${MAPS}?${QUERY}${more}`, abort.signal, headers);
      const read = async (frames: ReturnType<typeof watchFrames>, count: number): Promise<string[]> => {
        const seen: string[] = [];
        while (seen.length < count) {
          const { object } = ((await frames.next()) as { value: { object: Shown } }).value;
          const name = object.rows ? object.rows[0]?.object.metadata.name : object.metadata.name;
          if (name?.startsWith('map-') || !name) seen.push(name ?? 'end');
        }
        return seen;
      };
      const [first, second] = [open(), open()];
      const start = await read(first, 5);
      await create('map-99'); // changes the state while both are under way
      expect([...start, ...(await read(first, 57))]).toEqual([...names, 'end', 'map-99']);
      const shown = await read(second, 61);
      expect(shown.slice(0, 60)).toEqual(names);
      abort.abort();
    },
  );
});

interface Shown {
  readonly metadata: { readonly name?: string };
  readonly rows?: readonly { readonly object: { readonly metadata: { readonly name?: string } } }[];
}
