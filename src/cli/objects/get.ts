import { stringify } from 'yaml';
import { type DiscoveredResource, discoverResources } from '../../api/client/discovery.ts';
import { apiVersionOf, collectionPath, objectPath, queryString } from '../../api/client/paths.ts';
import { type ApiAccess, type ApiFlags, apiFlags, connect } from '../api-access.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import { ColumnWidths, renderTable } from '../text-table.ts';
import { kindAndName, resourcesNamed } from './kinds-by-name.ts';
import { type ColumnChoice, rowName, type ServerTable, TABLE_MEDIA, tableText } from './server-table.ts';
import { printChanges } from './watch.ts';

const FORMS = ['wide', 'yaml', 'json', 'name'] as const;

interface GetFlags extends ApiFlags {
  readonly allNamespaces?: boolean;
  readonly output?: (typeof FORMS)[number];
  readonly selector?: string;
  readonly watch?: boolean;
  readonly outputWatchEvents?: boolean;
}

/** What a server said of one kind: a Table, an object or a list. */
interface Fetched {
  readonly resource: DiscoveredResource;
  readonly body: Readonly<Record<string, unknown>>;
}

export const register: RegisterCommand = (program, context) => {
  apiFlags(program.command('get'))
    .description('list objects as a table')
    .argument(
      '<kind>',
      'plural, singular or short name: services, svc, pod, deployments.apps; KIND,KIND; all',
    )
    .argument('[name]', 'one object; KIND/NAME does the same')
    .option('-A, --all-namespaces', 'objects of all namespaces')
    .option('-o, --output <form>', FORMS.join(' | '))
    .option('-l, --selector <labels>', 'only objects with these labels')
    .option('-w, --watch', 'go on with what changes, until Ctrl-C')
    .option('--output-watch-events', 'with --watch: say ADDED, MODIFIED or DELETED before each')
    .addHelpText(
      'after',
      '\nExamples:\n  weft get svc -A\n  weft get pods -l app=front -o wide\n  weft get deploy,svc -n shop\n' +
        '  weft get ingress shop -o yaml\n  weft get pods -n shop --watch\n',
    )
    .action(async (kind: string, name: string | undefined, flags: GetFlags) => {
      if (flags.output !== undefined && !FORMS.includes(flags.output))
        throw new ExitError(EXIT_USAGE, `-o ${flags.output}: use wide, yaml, json or name`);
      const [kinds, one] = kindAndName(kind, name);
      await using access = await connect(context, flags.kubeconfig);
      const wanted = resourcesNamed(await discoverResources(access.client, context.stop), kinds);
      const [only, ...others] = wanted;
      if (flags.watch && only) {
        if (others.length > 0) throw new ExitError(EXIT_USAGE, `--watch ${kinds}: name one kind`);
        return await follow(access, only, one, flags, context);
      }
      const fetched: Fetched[] = [];
      for (const resource of wanted)
        fetched.push({ resource, body: await fetchObjects(access, resource, one, flags, context.stop) });
      context.stdout.write(renderObjects(fetched, flags));
    });
};

async function fetchObjects(
  access: ApiAccess,
  resource: DiscoveredResource,
  name: string | undefined,
  flags: GetFlags,
  signal: AbortSignal,
): Promise<Fetched['body']> {
  const namespace = namespaceOf(access, resource, flags);
  const path =
    name === undefined ? collectionPath(resource, namespace) : objectPath(resource, name, namespace);
  return await read(access, path + queryString({ labelSelector: flags.selector }), flags, signal);
}

function namespaceOf(
  { namespace }: ApiAccess,
  { namespaced }: DiscoveredResource,
  flags: GetFlags,
): string | undefined {
  return namespaced && !flags.allNamespaces ? (flags.namespace ?? namespace) : undefined;
}

async function read(
  access: ApiAccess,
  target: string,
  flags: GetFlags,
  signal: AbortSignal,
): Promise<Fetched['body']> {
  const accept = isText(flags) ? 'application/json' : TABLE_MEDIA;
  const reply = await access.exchange({ method: 'GET', target, headers: { accept } }, signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of reply.body) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  if (reply.status < 400) return body;
  throw new ExitError(
    EXIT_FAILURE,
    `Error from server (${String(body['reason'])}): ${String(body['message'])}`,
  );
}

function isText({ output }: GetFlags): boolean {
  return output === 'json' || output === 'yaml';
}

/** What is there, then each change of it. */
async function follow(
  access: ApiAccess,
  resource: DiscoveredResource,
  name: string | undefined,
  flags: GetFlags,
  context: CliContext,
): Promise<void> {
  const namespace = namespaceOf(access, resource, flags);
  const fieldSelector = name === undefined ? undefined : `metadata.name=${name}`;
  const query = queryString({ labelSelector: flags.selector, fieldSelector });
  const body = await read(access, collectionPath(resource, namespace) + query, flags, context.stop);
  const {
    rows,
    items,
    metadata,
    columnDefinitions = [],
  } = body as Partial<ServerTable> & { items?: object[] };
  const present = rows ?? items ?? [];
  if (name !== undefined && present.length === 0)
    throw new ExitError(EXIT_FAILURE, `Error from server (NotFound): ${resource.plural} "${name}" not found`);
  const columns = columnChoice(flags, false);
  const events = flags.outputWatchEvents === true;
  const table = tableText(resource, columnDefinitions ?? [], rows ?? [], columns);
  const lines = [table.head, ...table.rows].map((cells, at) =>
    events ? [at === 0 ? 'EVENT' : 'ADDED', ...cells] : cells,
  );
  const widths = new ColumnWidths(lines);
  if (flags.output === undefined || flags.output === 'wide')
    context.stdout.write(lines.map((cells) => widths.line(cells)).join(''));
  else if (present.length > 0) context.stdout.write(renderObjects([{ resource, body }], flags));
  await printChanges(access, context, {
    resource,
    namespace,
    labelSelector: flags.selector,
    fieldSelector,
    resourceVersion: metadata?.resourceVersion ?? '',
    form: flags.output === undefined || flags.output === 'wide' ? 'table' : flags.output,
    columns,
    widths,
    definitions: columnDefinitions,
    showEvents: events,
  });
}

function columnChoice(flags: GetFlags, prefixed: boolean): ColumnChoice {
  return { wide: flags.output === 'wide', namespaces: flags.allNamespaces === true, prefixed };
}

function renderObjects(fetched: readonly Fetched[], flags: GetFlags): string {
  if (isText(flags)) {
    const body = fetched.length === 1 ? fetched[0]?.body : listOf(fetched);
    return flags.output === 'json' ? `${JSON.stringify(body, null, 2)}\n` : stringify(body);
  }
  const tables = fetched
    .map(({ resource, body }) => ({ resource, table: body as unknown as ServerTable }))
    .filter(({ table }) => table.rows.length > 0);
  if (flags.output === 'name')
    return tables
      .flatMap(({ resource, table }) => table.rows.map((row) => `${rowName(resource, row)}\n`))
      .join('');
  if (tables.length === 0) return 'No resources found.\n';
  const columns = columnChoice(flags, fetched.length > 1);
  return tables
    .map(({ resource, table }) => {
      const { head, rows } = tableText(resource, table.columnDefinitions ?? [], table.rows, columns);
      return renderTable(head, rows);
    })
    .join('\n');
}

/** Several kinds in one document, as kubectl gathers them. */
function listOf(fetched: readonly Fetched[]): object {
  const items = fetched.flatMap(({ resource, body }) => {
    const each = Array.isArray(body['items']) ? (body['items'] as object[]) : [body];
    return each.map((item) => ({ apiVersion: apiVersionOf(resource), kind: resource.kind, ...item }));
  });
  return { apiVersion: 'v1', kind: 'List', items, metadata: {} };
}
