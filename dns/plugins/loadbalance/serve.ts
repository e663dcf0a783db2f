import { cidrContains, type Cidr } from '../../../src/net/cidr.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import type { Outcome } from '../../query.ts';
import type { ResourceRecord } from '../../wire/message.ts';
import { WeightFile } from './weights.ts';

export interface LoadBalanceOptions {
  readonly weightFile: string | undefined;
  readonly reloadMs: number;
  readonly prefer: readonly Cidr[];
}

/**
 * Changes the order of A, AAAA and MX records in NOERROR answers: shuffled, or one moved to the top by weight, then
 * preferred networks first. CNAMEs stay in front. Answers of the compiled table are rotated there.
 */
export async function openLoadBalance(deps: PluginDeps, options: LoadBalanceOptions): Promise<Plugin> {
  const weights =
    options.weightFile === undefined
      ? undefined
      : await WeightFile.open(deps, { path: options.weightFile, reloadMs: options.reloadMs });
  const order = (records: readonly ResourceRecord[]): readonly ResourceRecord[] => {
    const mixed = weights ? weights.order(records, deps.random) : shuffled(records, deps.random);
    return options.prefer.length === 0 ? mixed : preferring(mixed, options.prefer);
  };
  const reorder = (outcome: Outcome): Outcome => {
    if (outcome.kind !== 'reply' || outcome.message.rcode !== 'NOERROR' || outcome.ordered) return outcome;
    const { answers } = outcome.message;
    return answers.length < 2
      ? outcome
      : { ...outcome, message: { ...outcome.message, answers: mix(answers, order) } };
  };
  return {
    name: 'loadbalance',
    transparent: weights === undefined && options.prefer.length === 0,
    serve: (query, next) => {
      const outcome = next(query);
      if (query.depth > 0) return outcome;
      return outcome instanceof Promise ? outcome.then(reorder) : reorder(outcome);
    },
    [Symbol.asyncDispose]: async () => weights?.[Symbol.dispose](),
  };
}

const MOVABLE: readonly string[] = ['A', 'AAAA', 'MX'];

/** Only the tail of movable records moves, each type on its own; chains and signatures stay where they are. */
function mix(
  answers: readonly ResourceRecord[],
  order: (records: readonly ResourceRecord[]) => readonly ResourceRecord[],
): ResourceRecord[] {
  const fixed = answers.filter((record) => !MOVABLE.includes(record.type));
  const moved = MOVABLE.flatMap((type) => order(answers.filter((record) => record.type === type)));
  const aliases = fixed.filter((record) => record.type === 'CNAME' || record.type === 'DNAME');
  const others = fixed.filter((record) => record.type !== 'CNAME' && record.type !== 'DNAME');
  return [...aliases, ...moved, ...others];
}

function shuffled(records: readonly ResourceRecord[], random: () => number): ResourceRecord[] {
  const out = [...records];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

function preferring(records: readonly ResourceRecord[], networks: readonly Cidr[]): ResourceRecord[] {
  const rank = (record: ResourceRecord): number => {
    if (record.type !== 'A' && record.type !== 'AAAA') return networks.length;
    const at = networks.findIndex((cidr) => cidrContains(cidr, record.data.address));
    return at < 0 ? networks.length : at;
  };
  return [...records].sort((a, b) => rank(a) - rank(b));
}
