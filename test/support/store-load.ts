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

const [path = '', round = '0', writers = '16', filler = '500'] = process.argv.slice(2);
writeSync(1, 'booted\n');
const told = new Promise<boolean>((resolve) => {
  process.stdin.once('data', () => resolve(true)).once('end', () => resolve(false));
});
if (!(await told)) process.exit(0); // the test is over
const store = await openSqliteStore({ clock: systemClock, log: silentLogger }, { path });
writeSync(1, 'open\n');

async function write(writer: number): Promise<void> {
  const register = `/r/${writer}`;
  for (let i = 0; ; i++) {
    const value = `${round}.${i}`;
    const unique = `/k/${round}/${writer}/${i}`;
    const created = await store.put(unique, Buffer.from(value + 'x'.repeat(Number(filler))), 0);
    writeSync(1, `put ${unique} ${value} ${created.revision}\n`);
    const before = (await store.get(register)).entry?.modRevision ?? 0;
    const updated = await store.put(register, Buffer.from(value), before);
    writeSync(1, `put ${register} ${value} ${updated.revision}\n`);
    if (i % 3 === 1) {
      const deleted = await store.delete(unique, created.revision);
      writeSync(1, `delete ${unique} - ${deleted.revision}\n`);
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
    writeSync(1, `failed ${code} ${messageOf(result.reason)}\n`);
  }
}
// What was acknowledged can still be read, and writing is refused or works again; then the process ends.
const again = await store.put('/again', Buffer.from('x')).then(
  (result) => `ok ${result.revision}`,
  (error: unknown) => `${(error as { code?: string }).code} ${messageOf(error)}`,
);
writeSync(1, `again ${again}\n`);
writeSync(1, `readable ${(await store.range('/r/')).count}\n`);
await store[Symbol.asyncDispose]();
