import { Counter } from '../../../src/base/metrics.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { withQuestion, type Handler, type Outcome, type Query } from '../../query.ts';
import { record, type Message } from '../../wire/message.ts';
import { EDE } from '../../wire/numbers.ts';
import { absoluteName, isWithin, labelsBelow } from '../../wire/name.ts';

/** `@question`: no plugin's name, but the path that the question tells. */
export const QUESTION = 'question';

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
  const byQuestion = options.plugin === QUESTION;
  const searchOf = (query: Query): readonly string[] | undefined => {
    if (byQuestion) return deps.chain.plugin('kubernetes')?.searchPathOfQuestion?.(query);
    return options.plugin === undefined
      ? options.search
      : deps.chain.plugin(options.plugin)?.searchPath?.(query);
  };
  const steps = byQuestion ? walkTogether : walk;
  return {
    name: 'autopath',
    transparent: byQuestion,
    walksSearchPath: byQuestion,
    serve: (query, next) => {
      const { type, class: asked } = query.question;
      // What the question tells is only told by look-ups of addresses; the other ways know the client's path.
      const applies = asked === 'IN' && (!byQuestion || type === 'A' || type === 'AAAA');
      if (!applies || !options.zones.some((zone) => isWithin(query.name, zone))) return next(query);
      const search = searchOf(query)?.map(absoluteName);
      const first = search?.[0];
      if (!search || first === undefined || !isWithin(query.name, first)) return next(query);
      return steps(query, next, search, () => metrics.success.inc({ server: query.listener }));
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

/**
 * As `walk`, but what is not found at once is asked everywhere together, so a slow upstream is waited for once; and
 * the answer says where it was found.
 */
async function walkTogether(
  query: Query,
  next: Handler,
  search: readonly string[],
  succeeded: () => void,
): Promise<Outcome> {
  const first = await next(query);
  const bare = labelsBelow(query.question.name, search[0]!).join('.');
  if (first.kind !== 'reply' || first.message.rcode !== 'NXDOMAIN' || bare === '') return first;
  const names = [...search.slice(1).map((suffix) => `${bare}.${suffix}`), `${bare}.`];
  const outcomes = await Promise.all(
    names.map(async (name) => await next(withQuestion(query, { ...query.question, name }))),
  );
  for (const [i, outcome] of outcomes.entries()) {
    // A failure says nothing of the names behind it: the client goes on by itself.
    if (outcome.kind !== 'reply' || outcome.message.rcode === 'SERVFAIL') return first;
    if (outcome.message.rcode === 'NXDOMAIN') continue;
    succeeded();
    const extended = { code: EDE.SYNTHESIZED, text: `found as ${names[i]} along the search path` };
    return { ...outcome, extended, message: aliased(query, outcome.message, names[i]!) };
  }
  return first;
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
