import { open, readFile, rename } from 'node:fs/promises';
import type { KubeObject } from '../api/kinds/meta.ts';

/** First line of the file; the objects follow, one a line. */
export interface StateHeader {
  /** URL of the API server they came from. */
  readonly server: string;
  /** When they were known to be so, RFC 3339. */
  readonly savedAt: string;
  readonly count: number;
}

export interface StoredState extends StateHeader {
  readonly objects: readonly KubeObject[];
}

/** Objects written in one turn of the event loop. */
const BATCH_OBJECTS = 500;

/**
 * Replaces the file as a whole: a crash leaves the old one or the new one. For root alone, as it may hold Secrets. The
 * folder must exist.
 */
export async function writeStateFile(
  path: string,
  header: Omit<StateHeader, 'count'>,
  objects: readonly KubeObject[],
): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.write(`${JSON.stringify({ ...header, count: objects.length })}\n`);
    for (let from = 0; from < objects.length; from += BATCH_OBJECTS) {
      const lines = objects.slice(from, from + BATCH_OBJECTS).map((object) => `${JSON.stringify(object)}\n`);
      await file.write(lines.join(''));
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** Undefined when there is none; throws when it cannot be read or is not whole. */
export async function readStateFile(path: string): Promise<StoredState | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const [first = '', ...lines] = text.split('\n').filter((line) => line !== '');
  const header = JSON.parse(first) as StateHeader;
  if (header.count !== lines.length) throw new Error(`${lines.length} of ${header.count} objects`);
  return { ...header, objects: lines.map((line) => JSON.parse(line) as KubeObject) };
}
