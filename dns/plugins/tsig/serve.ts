import type { Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Query } from '../../query.ts';
import { isWithin } from '../../wire/name.ts';
import { EDE, type Opcode } from '../../wire/numbers.ts';

export type Required = 'all' | readonly string[];

export interface TsigOptions {
  readonly zones: readonly string[];
  /** Question types that must be signed. */
  readonly types: Required;
  readonly opcodes: Required;
}

/** Never answered from the compiled table, so requiring them takes nothing from it. */
const TRANSFERS: readonly string[] = ['AXFR', 'IXFR'];

/** Turns away questions that should be signed and are not. Signatures themselves are checked for the whole server. */
export function openTsig(deps: PluginDeps, options: TsigOptions): Plugin {
  const { zones, types, opcodes } = options;
  const needed = ({ question, request, name }: Query): boolean =>
    zones.some((zone) => isWithin(name, zone)) &&
    (includes(types, question.type) || includes(opcodes, request.opcode));
  let gated: readonly Opcode[] = [];
  return {
    name: 'tsig',
    transparent:
      types !== 'all' && types.every((type) => TRANSFERS.includes(type)) && !includes(opcodes, 'QUERY'),
    /** It has a say about NOTIFY where another plugin takes that. */
    get opcodes() {
      return gated;
    },
    opened: () => {
      if (
        deps.chain.plugins.some(({ name, opcodes: taken }) => name !== 'tsig' && taken?.includes('NOTIFY'))
      ) {
        gated = ['NOTIFY'];
      }
    },
    serve: (query, next) => {
      if (query.signed || query.depth > 0 || !needed(query)) return next(query);
      const text = 'the question must be signed (TSIG)';
      return failure('REFUSED', text, { code: EDE.PROHIBITED, text });
    },
  };
}

function includes(required: Required, value: string): boolean {
  return required === 'all' || required.includes(value);
}
