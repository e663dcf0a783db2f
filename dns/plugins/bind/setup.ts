import { expectArgs, readOptions } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';

/** `bind ADDRESS|INTERFACE...`, `except ADDRESS|INTERFACE...` inside. */
export const bind: Directive = {
  name: 'bind',
  repeatable: true,
  setup(context) {
    if (!expectArgs(context, context.stanza, 1, Infinity)) return undefined;
    const except = new Set<string>();
    readOptions(context, {
      except: (line) => {
        if (expectArgs(context, line, 1, Infinity)) for (const { text } of line.args) except.add(text);
      },
    });
    context.block.bind.push({ hosts: context.stanza.args.map(({ text }) => text), except: [...except] });
    return undefined;
  },
};
