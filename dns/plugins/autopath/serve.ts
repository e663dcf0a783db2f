import { Counter } from '../../../src/base/metrics.ts';
import {
  withQuestion,
  type Handler,
  type Outcome,
  type Plugin,
  type PluginDeps,
  type Query,
} from '../../plugin.ts';
import { record, type Message } from '../../wire/message.ts';
import { absoluteName, isWithin, labelsBelow } from '../../wire/name.ts';

export interface AutopathOptions {
  readonly zones: readonly string[];
  /** Who knows the client's search path. */
  readonly plugin: string | undefined;
  readonly search: readonly string[] | undefined;
}

/**
 * Walks the client's search path here: a question that ends in its first entry is tried in each entry and bare, and
 * the first that is not NXDOMAIN answers, behind a CNAME from the question to the name that was found.
 */
export function openAutopath(deps: PluginDeps, options: AutopathOptions): Plugin {
  const metrics = deps.host.shared('metrics autopath', () => new AutopathMetrics(deps));
  const searchOf = (query: Query): readonly string[] | undefined =>
    options.plugin === undefined ? options.search : deps.chain.plugin(options.plugin)?.searchPath?.(query);
  return {
    name: 'autopath',
    serve: (query, next) => {
      const { type, class: asked } = query.question;
      const applies = asked === 'IN' && (type === 'A' || type === 'AAAA');
      if (!applies || !options.zones.some((zone) => isWithin(query.name, zone))) return next(query);
      const search = searchOf(query)?.map(absoluteName);
      const first = search?.[0];
      if (!search || first === undefined || !isWithin(query.name, first)) return next(query);
      return walk(query, next, search, () => metrics.success.inc({ server: query.listener }));
    },
  };
}

async function walk(
  query: Query,
  next: Handler,
  search: readonly string[],
  succeeded: () => void,
): Promise<Outcome> {
  const bare = labelsBelow(query.question.name, search[0]!).join('.');
  if (bare === '') return await next(query);
  let first: Outcome | undefined;
  for (const suffix of [...search, '.']) {
    const name = suffix === '.' || suffix === '' ? `${bare}.` : `${bare}.${suffix}`;
    const same = name.toLowerCase() === query.name;
    const outcome = await next(same ? query : withQuestion(query, { ...query.question, name }));
    if (outcome.kind === 'reply' && outcome.message.rcode !== 'NXDOMAIN') {
      if (same) return outcome;
      succeeded();
      return { ...outcome, message: aliased(query, outcome.message, name) };
    }
    first ??= outcome;
  }
  return first ?? (await next(query));
}

/** In front of the answers, a CNAME from what was asked to what was found, with the ttl of the first record found. */
function aliased({ request, question }: Query, found: Message, name: string): Message {
  const ttl = found.answers[0]?.ttl ?? 0;
  const alias = record(question.name, ttl, 'CNAME', { target: name });
  const answers = found.answers.length === 0 ? [] : [alias, ...found.answers];
  return { ...found, id: request.id, questions: request.questions, answers };
}

class AutopathMetrics implements AsyncDisposable {
  readonly #deps: PluginDeps;
  readonly success: Counter<'server'>;

  constructor(deps: PluginDeps) {
    this.#deps = deps;
    this.success = new Counter({
      name: 'coredns_autopath_success_total',
      help: 'Counter of requests that did autopath.',
      labelNames: ['server'],
      registers: [deps.metrics],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#deps.metrics.removeSingleMetric('coredns_autopath_success_total');
  }
}
