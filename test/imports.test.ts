import { posix } from 'node:path';
import { expect, it } from 'vitest';
import { programFiles, textOf } from './support/source-files.ts';

/** What a process is composed of. */
const ROOMS = [
  'base',
  'net',
  'store',
  'api/kinds',
  'api/server',
  'api/client',
  'endpoints',
  'dns',
  'proxy',
  'ingress',
  'controllers',
  'kubelet',
];

/** Which room may import which, with the reason. `src/x` is written x; api rooms are api/kinds, api/server, api/client. */
const TABLE: Readonly<Record<string, { may: readonly string[]; because: string }>> = {
  base: { may: [], because: 'it has no domain' },
  net: { may: ['base'], because: 'addresses, sockets and kernel know nothing of Kubernetes' },
  store: { may: ['base'], because: 'it knows bytes, not kinds' },
  'api/kinds': { may: ['base', 'net'], because: 'shapes and rules of objects, without I/O' },
  'api/streams': {
    may: ['base', 'net', 'api/kinds'],
    because: 'both ends of one wire, for server and kubelet',
  },
  'api/server': {
    may: ['base', 'net', 'store', 'api/kinds', 'api/streams'],
    because: 'the only writer of the store',
  },
  'api/client': {
    may: ['base', 'net', 'api/kinds'],
    because: 'talks HTTP or in-process calls, never the store',
  },
  endpoints: { may: ['base', 'net', 'api/kinds'], because: 'the pure model between API and data planes' },
  dns: { may: ['base', 'net', 'endpoints', 'api/kinds'], because: 'reads the Snapshot only' },
  proxy: { may: ['base', 'net', 'endpoints', 'api/kinds'], because: 'reads the NodeView only' },
  ingress: {
    may: ['base', 'net', 'endpoints', 'api/kinds'],
    because: 'reads the Snapshot and Ingress objects',
  },
  controllers: {
    may: ['base', 'net', 'api/kinds', 'api/client', 'endpoints'],
    because: 'the way back is the API alone',
  },
  kubelet: {
    may: ['base', 'net', 'api/kinds', 'api/client', 'api/streams', 'endpoints'],
    because: 'the way back is the API alone',
  },
  node: { may: ROOMS, because: 'the composition root: everything but the command line' },
  cli: { may: [...ROOMS, 'node'], because: 'the only place where everything meets' },
};

/** Edges the table must see at least, so that a broken reader cannot pass empty. */
const LEAST_EDGES = 50;

function roomOf(path: string): string {
  const parts = path.split('/');
  if (parts[0] !== 'src') return parts[0]!;
  return parts[1] === 'api' ? `api/${parts[2]}` : parts[1]!;
}

function importsOf(path: string): string[] {
  const found = textOf(path).matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g);
  return Array.from(found, (match) => posix.normalize(posix.join(posix.dirname(path), match[1]!)));
}

it('each import follows the table of rooms', () => {
  const wrong: string[] = [];
  let edges = 0;
  for (const path of programFiles()) {
    const room = roomOf(path);
    const row = TABLE[room];
    if (!row) wrong.push(`${path}: no room named ${room}`);
    for (const target of row ? importsOf(path) : []) {
      const other = roomOf(target);
      if (other === room) continue;
      edges++;
      if (!row!.may.includes(other))
        wrong.push(
          `${path} imports ${target}: ${room} may import ${row!.may.join(', ')}, because ${row!.because}`,
        );
    }
  }
  expect(wrong).toEqual([]);
  expect(edges).toBeGreaterThan(LEAST_EDGES);
});
