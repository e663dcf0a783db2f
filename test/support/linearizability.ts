/**
 * Decides whether a history of concurrent operations on one object could have come from a single copy on which
 * each operation took effect at one moment between its call and its return (Herlihy and Wing 1990; the search
 * is Wing and Gong's with Lowe's memory of configurations seen). Objects are independent, so a store is checked
 * key by key.
 */
export interface Operation<Input, Output> {
  readonly client: number;
  readonly input: Input;
  /** undefined = the client never heard: it may have taken effect at any time after the call, or never. */
  readonly output: Output | undefined;
  /** Position of the call and of the return in one order of all events; no return = infinity. */
  readonly calledAt: number;
  readonly returnedAt: number;
}

export interface Model<State, Input, Output> {
  readonly initial: State;
  /** The state afterwards, or undefined when the output could not have come from this state. */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal states have equal texts. */
  describe(state: State): string;
}

export type Verdict = { readonly ok: true } | { readonly ok: false; readonly stuckAfter: number };

/** `stuckAfter`: the most operations that could be put in an order. */
export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
): Verdict {
  const operations = [...history].sort((a, b) => a.calledAt - b.calledAt);
  const mustReturn = operations.filter((operation) => operation.output !== undefined).length;
  const done = operations.map(() => false);
  const seen = new Set<string>();
  let stuckAfter = 0;

  /** Tries each operation that may come next: called before any pending one has returned. */
  function search(state: State, returned: number, taken: number): boolean {
    if (returned === mustReturn) return true;
    stuckAfter = Math.max(stuckAfter, taken);
    const configuration = `${done.map(Number).join('')}|${model.describe(state)}`;
    if (seen.has(configuration)) return false;
    seen.add(configuration);
    let earliestReturn = Number.POSITIVE_INFINITY;
    operations.forEach((operation, i) => {
      if (!done[i]) earliestReturn = Math.min(earliestReturn, operation.returnedAt);
    });
    for (let i = 0; i < operations.length; i++) {
      const operation = operations[i]!;
      if (operation.calledAt > earliestReturn) break;
      if (done[i]) continue;
      const next = model.step(state, operation.input, operation.output);
      if (next === undefined) continue;
      done[i] = true;
      if (search(next, returned + Number(operation.output !== undefined), taken + 1)) return true;
      done[i] = false;
    }
    return false;
  }

  return search(model.initial, 0, 0) ? { ok: true } : { ok: false, stuckAfter };
}

/** A register with compare-and-set by revision, as one key of a store is. */
export type RegisterInput =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: string; readonly expected: number | undefined }
  | { readonly kind: 'delete'; readonly expected: number | undefined };

export interface RegisterOutput {
  /** false = refused because the expected revision is not the current one. */
  readonly ok: boolean;
  /** What a read or a refused write saw; undefined = no such key. */
  readonly value: string | undefined;
  /** modRevision of what was seen or written; 0 = none. */
  readonly revision: number;
}

/** revision -1: written by an operation whose outcome nobody heard, so any number may turn up. */
export interface RegisterState {
  readonly value: string | undefined;
  readonly revision: number;
}

export const registerModel: Model<RegisterState, RegisterInput, RegisterOutput> = {
  initial: { value: undefined, revision: 0 },
  describe: (state) => `${state.revision} ${state.value}`,
  step(state, input, output) {
    if (input.kind === 'read') return output && sees(state, output);
    const fits = input.expected === undefined || matches(state, input.expected);
    const target = input.kind === 'write' ? input.value : undefined;
    const applicable = fits && (input.kind === 'write' || state.value !== undefined);
    if (!output) return applicable ? { value: target, revision: target === undefined ? 0 : -1 } : undefined;
    if (!output.ok) return sees(state, output);
    if (!applicable) return undefined;
    if (target !== undefined && output.revision <= state.revision) return undefined; // revisions only grow
    return { value: target, revision: target === undefined ? 0 : output.revision };
  },
};

function matches(state: RegisterState, expected: number): boolean {
  return state.revision === -1 ? expected > 0 : state.revision === expected;
}

/** A sight of an unheard write tells its revision. */
function sees(state: RegisterState, output: RegisterOutput): RegisterState | undefined {
  if (state.value !== output.value) return undefined;
  if (state.revision === -1) return { value: state.value, revision: output.revision };
  return state.revision === output.revision ? state : undefined;
}
