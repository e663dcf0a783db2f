import { randomInt } from 'node:crypto';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import type { Query } from '../../query.ts';
import { queryMessage, type Question } from '../../wire/message.ts';

/** More sightings than this mean that what we forward comes back to us. */
const SEEN_MAX = 2;
/** After so long without a verdict the watch ends: a loop would have shown. */
const WATCH_MS = 30_000;
const FIRST_PROBE_MS = 1000;

/** Sends one random HINFO question through the server's own chain at the start; sees it again = forwarding loop. */
export function openLoop(deps: PluginDeps): Plugin {
  const zone = deps.block.zones[0] ?? '.';
  const label = `${randomInt(2 ** 47)}.${randomInt(2 ** 47)}.`;
  const probe = (label + (zone === '.' ? '' : zone)).toLowerCase();
  let seen = 0;
  let watching = true;
  const ask = (): void => {
    const question: Question = { name: probe, type: 'HINFO', class: 'IN' };
    void deps.host.resolve(probeQuery(deps, question), question).catch(() => {});
  };
  let timer = deps.clock.setTimer(FIRST_PROBE_MS, () => {
    ask();
    timer = deps.clock.setTimer(WATCH_MS, () => void (watching = false));
  });
  return {
    name: 'loop',
    transparent: true,
    serve: (query, next) => {
      if (watching && query.question.type === 'HINFO' && query.name === probe && ++seen > SEEN_MAX) {
        watching = false;
        const { address, port } = query.client;
        deps.host.fail(
          `forwarding loop in zone ${zone}: our own question came back from ${address}:${port}. ` +
            'Point forward at another resolver than this server (often /etc/resolv.conf names 127.0.0.53).',
        );
      }
      return next(query);
    },
    [Symbol.asyncDispose]: async () => timer[Symbol.dispose](),
  };
}

function probeQuery(deps: PluginDeps, question: Question): Query {
  const here = { address: '127.0.0.1', port: 0 };
  return {
    request: queryMessage(question),
    question,
    name: question.name,
    transport: 'udp',
    client: here,
    server: here,
    metadata: new Map(),
    signal: new AbortController().signal,
    arrivedMs: deps.clock.monotonicMs(),
    zone: '',
    view: '',
    listener: deps.listener,
    depth: 0,
  };
}
