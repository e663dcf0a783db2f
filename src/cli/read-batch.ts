import { readFile } from 'node:fs/promises';
import { messageOf } from '../base/fault.ts';
import { type CliContext, EXIT_USAGE, ExitError } from './context.ts';

/** The text of a --batch file; `-` is standard input. */
export async function readBatch(file: string, { stdin }: CliContext): Promise<string> {
  if (file !== '-') {
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      throw new ExitError(EXIT_USAGE, `--batch: ${messageOf(error)}`);
    }
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
