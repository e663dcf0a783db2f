import type { KindRegistry } from '../../kinds/registry.ts';
import { noSuchPath } from '../status.ts';
import { type Reply, textReply } from './reply.ts';

/** Throws 404 below /api and the served groups; anywhere else the reply is what Go's HTTP server has for it. */
export function unknownPath(registry: KindRegistry, path: string): Reply {
  const [, root, group] = path.split('/');
  if (root === 'api' || (root === 'apis' && registry.all().some((kind) => kind.group === group)))
    throw noSuchPath();
  const reply = textReply(404, '404 page not found\n');
  return { ...reply, headers: { ...reply.headers, 'x-content-type-options': 'nosniff' } };
}
