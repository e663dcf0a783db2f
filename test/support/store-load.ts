/**
 * A process that writes to a SQLite store until it is killed and tells each acknowledged write on stdout:
 * `put KEY VALUE REVISION` or `delete KEY - REVISION`, one a line. Waits for a line on stdin before it opens the
 * file. Arguments: FILE ROUND WRITERS FILLER, the bytes added to each unique value.
 */
import { writeSync } from 'node:fs';
import { systemClock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/fault.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openSqliteStore } from '../../src/store/sqlite-store.ts';

/** On the way before it returns, so that a kill takes no acknowledgement back; waits where the reader is behind. */
function tell(line: string): void {
  let rest: Uint8Array = Buffer.from(`${line}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

const [path = '', round = '0', writers = '16', filler = '500'] = process.argv.slice(2);
tell('booted');
const told = new Promise<boolean>((resolve) => {
  process.stdin.once('data', () => resolve(true)).once('end', () => resolve(false));
});
if (!(await told)) process.exit(0); // the test is over
const store = await openSqliteStore({ clock: systemClock, log: silentLogger }, { path });
tell('open');

async function write(writer: number): Promise<void> {
  const register = `/r/${writer}`;
  for (let i = 0; ; i++) {
    const value = `${round}.${i}`;
    const unique = `/k/${round}/${writer}/${i}`;
    const created = await store.put(unique, Buffer.from(value + 'x'.repeat(Number(filler))), 0);
    tell(`put ${unique} ${value} ${created.revision}`);
    const before = (await store.get(register)).entry?.modRevision ?? 0;
    const updated = await store.put(register, Buffer.from(value), before);
    tell(`put ${register} ${value} ${updated.revision}`);
    if (i % 3 === 1) {
      const deleted = await store.delete(unique, created.revision);
      tell(`delete ${unique} - ${deleted.revision}`);
    }
    if (writer === 0 && i % 5 === 4) await store.compact(Math.max(1, updated.revision - 300));
  }
}

const failed = await Promise.allSettled(
  Array.from({ length: Number(writers) }, (_, writer) => write(writer)),
);
for (const result of failed) {
  if (result.status === 'rejected') {
    const { code = 'unknown' } = result.reason as { code?: string };
    tell(`failed ${code} ${messageOf(result.reason)}`);
  }
}
// What was acknowledged can still be read, and writing is refused or works again; then the process ends.
const again = await store.put('/again', Buffer.from('x')).then(
  (result) => `ok ${result.revision}`,
  (error: unknown) => `${(error as { code?: string }).code} ${messageOf(error)}`,
);
tell(`again ${again}`);
tell(`readable ${(await store.range('/r/')).count}`);
await store[Symbol.asyncDispose]();
