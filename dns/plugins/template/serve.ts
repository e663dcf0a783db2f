import { fallsThrough } from '../../fallthrough.ts';
import { messageOf } from '../../../src/base/fault.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Outcome, type Query } from '../../query.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import { replyTo, type ResourceRecord } from '../../wire/message.ts';
import { isWithin } from '../../wire/name.ts';
import { EDE, type RecordClass, type RecordType } from '../../wire/numbers.ts';
import { parseRecordBody } from '../../wire/zone-text.ts';
import { zoneName } from '../../wire/zone-words.ts';
import { masterEntries } from '../../zone/master-entries.ts';
import { ExpressionError, truth } from '../view/expression.ts';
import type { MatchEnv } from './expressions.ts';
import { runTemplate } from './go-run.ts';
import type { RecordTemplate, TemplateBody } from './setup.ts';

export interface TemplateOptions extends TemplateBody {
  readonly zones: readonly string[];
  /** ANY = every one. */
  readonly recordClass: RecordClass;
  readonly type: RecordType;
}

/** Makes answers from the question by a template. */
export function openTemplate(deps: PluginDeps, options: TemplateOptions): Plugin {
  const { recordClass, type, zones } = options;
  const matched = sharedCounter(deps, {
    name: 'coredns_template_matches_total',
    help: 'Counter of template regex matches.',
    labelNames: ['server', 'zone', 'view', 'class', 'type'],
  });
  const failures = {
    template: sharedCounter(deps, {
      name: 'coredns_template_template_failures_total',
      help: 'Counter of go template failures.',
      labelNames: FAILURE_LABELS,
    }),
    rr: sharedCounter(deps, {
      name: 'coredns_template_rr_failures_total',
      help: 'Counter of mis-templated RRs.',
      labelNames: FAILURE_LABELS,
    }),
  };
  return {
    name: 'template',
    // Only the zones of the template are kept from the compiled table.
    transparent: true,
    ownsZones: zones,
    classes: recordClass === 'IN' ? [] : recordClass === 'ANY' ? ['CH', 'HS', 'ANY'] : [recordClass],
    serve: (query, next) => {
      const { question, name } = query;
      const zone = zones.find((one) => isWithin(name, one));
      const fitting = zone !== undefined && fits(recordClass, question.class) && fits(type, question.type);
      if (!fitting) return next(query);
      const found = matchOf(options, query);
      if (!found) return fallsThrough(options.fallthrough, name) ? next(query) : notMatched();
      const labels = { server: query.listener, zone, view: query.view, class: recordClass, type };
      matched.inc(labels);
      try {
        return answer(deps, options, query, dataOf(zone, found));
      } catch (error) {
        if (error instanceof RecordFailure) failures[error.of].inc({ ...labels, ...error.where });
        const text = `template failed: ${messageOf(error)}`;
        return failure('SERVFAIL', text, { code: EDE.OTHER, text });
      }
    },
  };
}

function fits(wanted: string, asked: string): boolean {
  return wanted === 'ANY' || asked === 'ANY' || wanted === asked;
}

/** As CoreDNS has it: a zone of templates without one for this name is a mistake of the Corefile. */
function notMatched(): Outcome {
  const text = 'no template matches the name';
  return failure('SERVFAIL', text, { code: EDE.OTHER, text });
}

/** The first expression that fits, with the variables; undefined when none does or a condition does not hold. */
function matchOf({ matches, variables, conditions }: TemplateOptions, query: Query): MatchEnv | undefined {
  const match = matches.map((regex) => regex.match(query.name)).find((each) => each !== undefined);
  if (!match) return undefined;
  const values: Record<string, unknown> = {};
  const env = { query, match, variables: values };
  try {
    for (const { name, value } of variables) values[name] = value(env);
    return conditions.every((condition) => truth(condition(env))) ? env : undefined;
  } catch (error) {
    if (error instanceof ExpressionError) return undefined;
    throw error;
  }
}

/** What a template sees, under CoreDNS's names. */
function dataOf(zone: string, { query, match, variables }: MatchEnv): unknown {
  const { question, request, name, client, metadata } = query;
  return {
    Zone: zone,
    Name: name,
    Class: question.class,
    Type: question.type,
    Match: match.groups,
    Group: {
      ...Object.fromEntries(match.groups.map((group, i) => [String(i), group])),
      ...match.named,
    },
    Message: {
      Id: request.id,
      RecursionDesired: request.recursionDesired,
      CheckingDisabled: request.checkingDisabled,
    },
    Question: { Name: question.name, Qtype: question.type, Qclass: question.class },
    Remote: client.address,
    Var: variables,
    Meta: (label: unknown): string => metadata.get(String(label))?.() ?? '',
  };
}

function answer(
  deps: PluginDeps,
  options: TemplateOptions,
  query: Query,
  data: unknown,
): Outcome | Promise<Outcome> {
  const { rcode, extended } = options;
  if (rcode === 'SERVFAIL') return failure('SERVFAIL', 'the template says so', extended);
  const records = (templates: readonly RecordTemplate[]): ResourceRecord[] =>
    templates.map((template) => made(template, data));
  const message = replyTo(query.request, {
    authoritative: true,
    rcode,
    answers: records(options.answers),
    authorities: records(options.authorities),
    additionals: records(options.additionals),
  });
  const outcome: Outcome = { kind: 'reply', message, ...(extended && { extended }) };
  const alias = message.answers.at(-1);
  const { type } = query.question;
  if (alias?.type !== 'CNAME' || (type !== 'A' && type !== 'AAAA')) return outcome;
  const target = { name: alias.data.target, type, class: 'IN' } as const;
  return deps.host.resolve(query, target).then(({ answers }) => ({
    ...outcome,
    message: { ...message, answers: [...message.answers, ...answers] },
  }));
}

/** Throws RecordFailure, which says whether the template or what came of it is wrong. */
function made(template: RecordTemplate, data: unknown): ResourceRecord {
  let line: string;
  try {
    line = runTemplate(template.nodes, data);
  } catch (cause) {
    throw new RecordFailure('template', template, cause);
  }
  try {
    return recordOf(line);
  } catch (cause) {
    throw new RecordFailure('rr', template, cause);
  }
}

class RecordFailure extends Error {
  readonly of: 'template' | 'rr';
  readonly where: { readonly section: string; readonly template: string };

  constructor(of: 'template' | 'rr', { section, source }: RecordTemplate, cause: unknown) {
    super(messageOf(cause), { cause });
    this.of = of;
    this.where = { section, template: source };
  }
}

const FAILURE_LABELS = ['server', 'zone', 'view', 'class', 'type', 'section', 'template'] as const;

/** Zone text, brackets included. */
function recordOf(line: string): ResourceRecord {
  const [entry] = masterEntries(line.trim());
  if (!entry || 'reason' in entry) throw new Error(`"${line}": ${entry?.reason ?? 'nothing there'}`);
  const [owner, ...words] = entry.words;
  const name = zoneName(owner?.text ?? '', '.');
  if (name === undefined) throw new Error(`"${line}": "${owner?.text}" is not a name`);
  const parsed = parseRecordBody(name, words, { origin: '.', ttl: TTL_SECONDS, class: 'IN' });
  if (parsed.ok) return parsed.record;
  throw new Error(`"${line}": ${parsed.reason}`);
}

/** Of records whose text has none. */
const TTL_SECONDS = 3600;
