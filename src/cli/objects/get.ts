import { stringify } from 'yaml';
import { type DiscoveredResource, discoverResources } from '../../api/client/discovery.ts';
import { apiVersionOf, collectionPath, objectPath } from '../../api/client/paths.ts';
import { type ApiAccess, type ApiFlags, apiFlags, connect } from '../api-access.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import { kindAndName, resourcesNamed } from './kinds-by-name.ts';
import { renderTable } from '../text-table.ts';

const TABLE_MEDIA = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
const FORMS = ['wide', 'yaml', 'json', 'name'];

interface GetFlags extends ApiFlags {
  readonly allNamespaces?: boolean;
  readonly output?: string;
  readonly selector?: string;
}

interface Table {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
  readonly rows: readonly {
    readonly cells: readonly unknown[];
    readonly object?: { metadata?: { namespace?: string; name?: string } };
  }[];
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
    .addHelpText(
      'after',
      '\nExamples:\n  weft get svc -A\n  weft get pods -l app=front -o wide\n  weft get deploy,svc -n shop\n' +
        '  weft get ingress shop -o yaml\n',
    )
    .action(async (kind: string, name: string | undefined, flags: GetFlags) => {
      if (flags.output !== undefined && !FORMS.includes(flags.output))
        throw new ExitError(EXIT_USAGE, `-o ${flags.output}: use wide, yaml, json or name`);
      const [kinds, one] = kindAndName(kind, name);
      await using access = await connect(context, flags.kubeconfig);
      const wanted = resourcesNamed(await discoverResources(access.client, context.stop), kinds);
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
  const namespace =
    resource.namespaced && !flags.allNamespaces ? (flags.namespace ?? access.namespace) : undefined;
  const path =
    name === undefined ? collectionPath(resource, namespace) : objectPath(resource, name, namespace);
  const query = flags.selector === undefined ? '' : `?labelSelector=${encodeURIComponent(flags.selector)}`;
  const accept = isText(flags) ? 'application/json' : TABLE_MEDIA;
  const reply = await access.exchange({ method: 'GET', target: path + query, headers: { accept } }, signal);
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

function renderObjects(fetched: readonly Fetched[], flags: GetFlags): string {
  if (isText(flags)) {
    const body = fetched.length === 1 ? fetched[0]?.body : listOf(fetched);
    return flags.output === 'json' ? `${JSON.stringify(body, null, 2)}\n` : stringify(body);
  }
  const tables = fetched
    .map(({ resource, body }) => ({ resource, table: body as unknown as Table }))
    .filter(({ table }) => table.rows.length > 0);
  if (flags.output === 'name')
    return tables
      .flatMap(({ resource, table }) => table.rows.map((row) => `${nameOf(resource, row)}\n`))
      .join('');
  if (tables.length === 0) return 'No resources found.\n';
  const prefixed = fetched.length > 1;
  return tables.map(({ resource, table }) => renderKubeTable(resource, table, flags, prefixed)).join('\n');
}

/** Several kinds in one document, as kubectl gathers them. */
function listOf(fetched: readonly Fetched[]): object {
  const items = fetched.flatMap(({ resource, body }) => {
    const each = Array.isArray(body['items']) ? (body['items'] as object[]) : [body];
    return each.map((item) => ({ apiVersion: apiVersionOf(resource), kind: resource.kind, ...item }));
  });
  return { apiVersion: 'v1', kind: 'List', items, metadata: {} };
}

/** `pod/front`, `deployment.apps/front`. */
function nameOf({ kind, group }: DiscoveredResource, row: Table['rows'][number]): string {
  return `${kind.toLowerCase()}${group && `.${group}`}/${row.object?.metadata?.name ?? ''}`;
}

function renderKubeTable(
  resource: DiscoveredResource,
  table: Table,
  flags: GetFlags,
  prefixed: boolean,
): string {
  const shown = table.columnDefinitions.flatMap((column, index) =>
    column.priority === 0 || flags.output === 'wide' ? [index] : [],
  );
  const head = shown.map((index) => (table.columnDefinitions[index]?.name ?? '').toUpperCase());
  const rows = table.rows.map((row) => {
    const cells = shown.map((index) => cellText(row.cells[index]));
    if (prefixed) cells[0] = nameOf(resource, row);
    return flags.allNamespaces ? [row.object?.metadata?.namespace ?? '', ...cells] : cells;
  });
  return renderTable(flags.allNamespaces ? ['NAMESPACE', ...head] : head, rows);
}

function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return '<none>';
  return typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'boolean'
    ? String(cell)
    : JSON.stringify(cell);
}
