/**
 * A vitest reporter of what its JSON leaves out: files whose process died before their tests ended, and errors
 * outside any test. Written as {@link LostFiles} to the file that WEFT_LOST_FILES names.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter } from 'vitest/node';

export interface LostFiles {
  /** Test files, relative to the project. */
  readonly files: readonly string[];
  /** One line each: what was thrown, and the file it came from. */
  readonly errors: readonly string[];
}

type RunEnd = Parameters<NonNullable<Reporter['onTestRunEnd']>>;

export default class LostFilesReporter implements Reporter {
  onTestRunEnd(modules: RunEnd[0], errors: RunEnd[1]): void {
    const lost: LostFiles = {
      files: modules.filter((each) => each.state() === 'pending').map((each) => each.relativeModuleId),
      errors: errors.map(oneLine),
    };
    const path = process.env['WEFT_LOST_FILES'];
    if (path) writeFileSync(path, JSON.stringify(lost));
  }
}

function oneLine(error: RunEnd[1][number]): string {
  const from = error['VITEST_TEST_PATH'];
  const causes: string[] = [];
  for (let at: typeof error | undefined = error; at; at = at.cause) causes.push(at.message);
  return `${causes.join(' ')}${typeof from === 'string' ? ` (${from})` : ''}`.replaceAll('\n', ' ');
}
