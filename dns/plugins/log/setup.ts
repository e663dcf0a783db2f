import { expectArgs, readInteger, readOptions, readWord } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { foldName, parseName } from '../../wire/name.ts';
import { COMBINED, COMMON } from './format.ts';
import { LOG_CLASSES, openLog, type LogClass } from './serve.ts';

/** Of so many answers one can be logged. */
const SAMPLE_MOST = 1_000_000;

/** `log [NAMES...] [FORMAT] { class CLASSES..., sample N }`. */
export const log: Directive = {
  name: 'log',
  repeatable: true,
  setup(context) {
    const { args } = context.stanza;
    const last = args.at(-1);
    const format = last && (last.text.includes('{') || last.quoted) ? last.text : undefined;
    const names = (format === undefined ? args : args.slice(0, -1)).flatMap((token) => {
      const name = parseName(token.text);
      if (name === undefined) context.fault(token, `"${token.text}" is not a name`);
      return name === undefined ? [] : [foldName(name)];
    });
    const classes = new Set<LogClass>();
    let oneIn = 1;
    readOptions(context, {
      sample: (line) => {
        if (expectArgs(context, line, 1, 1))
          oneIn = readInteger(context, line.args[0]!, 1, SAMPLE_MOST) ?? oneIn;
      },
      class: (line) => {
        if (!expectArgs(context, line, 1, Infinity)) return;
        for (const token of line.args) {
          const chosen = readWord(context, token, LOG_CLASSES);
          if (chosen) classes.add(chosen);
        }
      },
    });
    if (classes.size === 0) classes.add('all');
    const text = (format ?? COMMON).replaceAll('{common}', COMMON).replaceAll('{combined}', COMBINED);
    const scope = names.length > 0 ? names : ['.'];
    return (deps) => openLog(deps, { names: scope, format: text, classes, oneIn });
  },
};
