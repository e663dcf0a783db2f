import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, type Option } from 'commander';
import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { messageOf } from '../../base/fault.ts';
import { EXIT_USAGE, ExitError } from '../context.ts';

/**
 * Takes options from the file that --config names: a YAML map of their long names (`api-listen: 127.0.0.1:6443`), a
 * list for those that repeat. What was typed wins. All faults come together, each with its line.
 */
export async function readConfigFile(command: Command): Promise<void> {
  const { config } = command.opts<{ config?: string }>();
  if (config === undefined) return;
  let text: string;
  try {
    text = await readFile(config, 'utf8');
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `--config: ${messageOf(error)}`);
  }
  const faults = applyConfig(command, text).map(({ line, message }) => `${config}:${line}: ${message}`);
  if (faults.length > 0) throw new ExitError(EXIT_USAGE, faults.join('\n'));
}

interface Fault {
  readonly line: number;
  readonly message: string;
}

function applyConfig(command: Command, text: string): Fault[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { version: '1.1', lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number): number => lines.linePos(offset).line;
  if (document.errors.length > 0)
    return document.errors.map(({ pos, message }) => ({ line: lineOf(pos[0]), message }));
  if (document.contents === null) return [];
  if (!isMap(document.contents)) return [{ line: 1, message: 'must be a map of options' }];
  return document.contents.items.flatMap(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : '';
    const line = isScalar(key) ? lineOf(key.range?.[0] ?? 0) : 1;
    const option = command.options.find(({ long }) => long === `--${name}`);
    if (!option || name === 'config')
      return [{ line, message: `${name || 'this key'} is no option of ${command.name()}` }];
    const values = isSeq(value) ? value.items : [value];
    const texts = values.map((one) => (isScalar(one) ? one.source : undefined));
    return texts.every((one) => one !== undefined)
      ? take(command, option, texts).map((message) => ({ line, message: `${name}: ${message}` }))
      : [{ line, message: `${name}: must be a value or a list of values` }];
  });
}

/** Sets one option unless it was typed; what is wrong with it. */
function take(command: Command, option: Option, texts: readonly string[]): string[] {
  const name = option.attributeName();
  if (command.getOptionValueSource(name) === 'cli') return [];
  if (option.isBoolean()) {
    const [text] = texts;
    if (texts.length !== 1 || (text !== 'true' && text !== 'false')) return ['must be true or false'];
    command.setOptionValueWithSource(name, text === 'true', 'config');
    return [];
  }
  try {
    let value: unknown;
    for (const text of texts) value = option.parseArg ? option.parseArg(text, value as never) : text;
    command.setOptionValueWithSource(name, value, 'config');
    return [];
  } catch (error) {
    if (error instanceof InvalidArgumentError) return [error.message];
    throw error;
  }
}
