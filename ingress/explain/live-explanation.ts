import type { RouteTable } from '../compile/route-table.ts';
import type { Fields } from '../http/fields.ts';
import type { RequestHead } from '../http/message.ts';
import { inCidrs, type RequestContext } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';
import { type ExplainStep, explanationLine } from './explanation.ts';

/** A request that carries this field, and the answer's field with what became of it. */
const FIELD = 'X-Weft-Explain';
const FIELD_LOWER = FIELD.toLowerCase();
const FIELD_CHARS_MAX = 4_000;

/** Explanations in response fields, for clients of `weft-explain-allow` that ask by sending the field. */
export class LiveExplanations {
  readonly #asked = new WeakMap<RequestHead, { steps: ExplainStep[]; record: RequestRecord }>();

  /** Looks the request up once more, writing down what is looked at. */
  begin(table: RouteTable, context: RequestContext, record: RequestRecord): void {
    const { head, settings, clientAddress } = context;
    if (!settings.explainAllow || !head.fields.has(FIELD_LOWER)) return;
    if (!inCidrs(settings.explainAllow, clientAddress)) return;
    const steps: ExplainStep[] = [];
    table.match(head.authority, head.target, {
      host: (subject, outcome) => steps.push({ topic: 'host', subject, outcome }),
      path: ({ path, pathType, ingress }, outcome) =>
        steps.push({
          topic: 'rule',
          subject: `${path} ${pathType} (${ingress.namespace}/${ingress.name})`,
          outcome,
        }),
    });
    this.#asked.set(head, { steps, record });
  }

  /** Adds the field to an answer whose request asked for it. */
  addTo(head: RequestHead, fields: Fields): void {
    const asked = this.#asked.get(head);
    if (!asked) return;
    const { steps, record } = asked;
    // what lost is of less use than what won when there is no room for both
    const chosen = steps.filter(({ outcome }) => outcome.startsWith('chosen'));
    const ordered = [...chosen, ...steps.filter((step) => !chosen.includes(step))];
    fields.set(FIELD, explanationLine([...endSteps(record), ...ordered], FIELD_CHARS_MAX));
  }
}

function endSteps(record: RequestRecord): ExplainStep[] {
  const steps: ExplainStep[] = [];
  if (record.canary !== '') steps.push({ topic: 'canary', subject: record.canary, outcome: 'takes it' });
  for (const { endpoint, status, detail } of record.tries)
    steps.push({ topic: 'endpoint', subject: endpoint, outcome: detail ?? String(status) });
  if (record.why !== undefined) steps.push({ topic: 'answer', subject: 'ours', outcome: record.why });
  return steps;
}
