import { stringify } from 'yaml';
import type { DiscoveredResource } from '../../api/client/discovery.ts';
import { MAX_WATCH_EVENT_BYTES } from '../../api/client/limits.ts';
import { splitLines } from '../../api/client/ndjson.ts';
import { collectionPath, queryString } from '../../api/client/paths.ts';
import type { ApiAccess } from '../api-access.ts';
import { type CliContext, EXIT_FAILURE, ExitError } from '../context.ts';
import type { ColumnWidths } from '../text-table.ts';
import { type ColumnChoice, rowName, type ServerTable, TABLE_MEDIA, tableText } from './server-table.ts';

export interface WatchOptions {
  readonly resource: DiscoveredResource;
  readonly namespace: string | undefined;
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  /** From where the watch goes on. */
  readonly resourceVersion: string;
  readonly form: 'table' | 'name' | 'json' | 'yaml';
  readonly columns: ColumnChoice;
  /** What the list was printed with: changes stand in the same columns. */
  readonly widths: ColumnWidths;
  readonly definitions: ServerTable['columnDefinitions'];
  /** Puts ADDED, MODIFIED or DELETED before each change. */
  readonly showEvents: boolean;
}

interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: Record<string, unknown>;
}

/** Prints each change until the context stops; watches that a server ends resume where they were. */
export async function printChanges(
  access: ApiAccess,
  context: CliContext,
  options: WatchOptions,
): Promise<void> {
  let { resourceVersion } = options;
  try {
    while (!context.stop.aborted) {
      for await (const change of changesSince(access, options, resourceVersion, context.stop)) {
        resourceVersion = versionOf(change) ?? resourceVersion;
        context.stdout.write(changeText(change, options));
      }
    }
  } catch (error) {
    if (!context.stop.aborted) throw error; // Ctrl-C ends a watch: nothing went wrong
  }
}

async function* changesSince(
  { exchange }: ApiAccess,
  { resource, namespace, labelSelector, fieldSelector, form }: WatchOptions,
  resourceVersion: string,
  signal: AbortSignal,
): AsyncGenerator<Change> {
  const query = { watch: true, allowWatchBookmarks: true, resourceVersion, labelSelector, fieldSelector };
  const accept = form === 'table' || form === 'name' ? TABLE_MEDIA : 'application/json';
  const target = collectionPath(resource, namespace) + queryString(query);
  const reply = await exchange({ method: 'GET', target, headers: { accept } }, signal);
  for await (const line of splitLines(reply.body, MAX_WATCH_EVENT_BYTES)) {
    const change = JSON.parse(line) as Change;
    if (reply.status >= 400)
      throw new ExitError(EXIT_FAILURE, failure(change as unknown as Change['object']));
    if (change.type === 'ERROR') throw new ExitError(EXIT_FAILURE, failure(change.object));
    yield change;
  }
}

function failure(status: Change['object']): string {
  return `Error from server (${String(status['reason'])}): ${String(status['message'])}`;
}

/** Of the object, which a Table holds in its row; a bookmark's Table has no row. */
function versionOf({ object }: Change): string | undefined {
  const { metadata, rows } = object as Partial<ServerTable>;
  return rows?.[0]?.object?.metadata?.resourceVersion ?? (metadata?.resourceVersion || undefined);
}

function changeText({ type, object }: Change, options: WatchOptions): string {
  if (type === 'BOOKMARK') return '';
  const { form, showEvents } = options;
  if (form === 'json') return `${JSON.stringify(showEvents ? { type, object } : object, null, 2)}\n`;
  if (form === 'yaml') return `---\n${stringify(showEvents ? { type, object } : object)}`;
  const table = object as unknown as ServerTable;
  const lines =
    form === 'name'
      ? table.rows.map((row) => [rowName(options.resource, row)])
      : tableText(
          options.resource,
          options.definitions ?? table.columnDefinitions ?? [],
          table.rows,
          options.columns,
        ).rows;
  return lines.map((cells) => options.widths.line(showEvents ? [type, ...cells] : cells)).join('');
}
