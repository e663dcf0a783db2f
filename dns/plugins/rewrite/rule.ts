import type { PluginDeps } from '../../plugin.ts';
import type { Query } from '../../query.ts';
import type { RecordClass } from '../../wire/numbers.ts';
import type { Message } from '../../wire/message.ts';

/** Changes the answer to a question that a rule has changed. */
export type Respond = (
  message: Message,
  context: { readonly query: Query; readonly deps: PluginDeps },
) => Message | Promise<Message>;

/** The rule fits but cannot be followed: the question fails. */
export interface Unwritable {
  readonly reason: string;
}

export interface Rewritten {
  readonly query: Query;
  readonly respond?: Respond;
}

export interface RewriteRule {
  /** No further rule is looked at once this one has fitted. */
  readonly stop: boolean;
  /** Questions of this class are for the rule, though not IN. */
  readonly takesClass?: RecordClass;
  /** Undefined: the rule does not fit. */
  apply(query: Query): Rewritten | Unwritable | undefined;
}
