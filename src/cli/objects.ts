import type { Command } from 'commander';
import { stringify } from 'yaml';
import type { Resource } from '../api/client/client.ts';
import { discoverResources, type DiscoveredResource } from '../api/client/discovery.ts';
import { applyObjects, applyOrder, type Applied } from '../api/client/manifest-apply.ts';
import { readManifests } from '../api/client/manifest-read.ts';
import { collectionPath, objectPath } from '../api/client/paths.ts';
import { systemClock } from '../base/clock.ts';
import { type ApiAccess, connect } from './api-access.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from './context.ts';
import { renderFaults } from './fault-table.ts';
import { renderTable } from './text-table.ts';

interface CommonFlags {
  readonly kubeconfig?: string;
  readonly namespace?: string;
}

const TABLE_MEDIA = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
const FIELD_MANAGER = 'weft';

/** The few verbs a machine without kubectl needs. kubectl does all of them, and more, on the same kubeconfig. */
export const register: RegisterCommand = (program, context) => {
  registerGet(program, context);
  registerApply(program, context);
  registerDelete(program, context);
};

function common(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'how to reach the API (default: $KUBECONFIG, then what `weft up` wrote)')
    .option('-n, --namespace <name>', 'namespace (default: the one of the kubeconfig)');
}

function registerGet(program: Command, context: CliContext): void {
  common(program.command('get'))
    .description('list objects as a table')
    .argument('<kind>', 'plural, singular or short name: services, svc, pod, deployments.apps')
    .argument('[name]')
    .option('-A, --all-namespaces', 'objects of all namespaces')
    .option('-o, --output <form>', 'wide | yaml | json | name')
    .option('-l, --selector <labels>', 'only objects with these labels')
    .addHelpText(
      'after',
      '\nExamples:\n  weft get svc -A\n  weft get pods -l app=front -o wide\n  weft get ingress shop -o yaml\n',
    )
    .action(async (kind: string, name: string | undefined, flags: GetFlags) => {
      await using access = await connect(context, flags.kubeconfig);
      const resource = await findResource(access, kind, context.stop);
      const namespace =
        resource.namespaced && !flags.allNamespaces ? (flags.namespace ?? access.namespace) : undefined;
      const path =
        name === undefined ? collectionPath(resource, namespace) : objectPath(resource, name, namespace);
      context.stdout.write(await fetchObjects(access, path, flags, context.stop));
    });
}

interface GetFlags extends CommonFlags {
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

async function fetchObjects(
  access: ApiAccess,
  path: string,
  flags: GetFlags,
  signal: AbortSignal,
): Promise<string> {
  const asTable = flags.output === undefined || flags.output === 'wide' || flags.output === 'name';
  const query = flags.selector === undefined ? '' : `?labelSelector=${encodeURIComponent(flags.selector)}`;
  const accept = asTable ? TABLE_MEDIA : 'application/json';
  const reply = await access.exchange({ method: 'GET', target: path + query, headers: { accept } }, signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of reply.body) chunks.push(chunk);
  const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
  if (reply.status >= 400)
    throw new ExitError(
      EXIT_FAILURE,
      `Error from server (${String(body['reason'])}): ${String(body['message'])}`,
    );
  if (flags.output === 'json') return `${JSON.stringify(body, null, 2)}\n`;
  if (flags.output === 'yaml') return stringify(body);
  if (!asTable) throw new ExitError(EXIT_USAGE, `-o ${flags.output}: use wide, yaml, json or name`);
  return renderKubeTable(body as unknown as Table, flags);
}

function renderKubeTable(table: Table, flags: GetFlags): string {
  if (flags.output === 'name')
    return table.rows.map((row) => `${row.object?.metadata?.name ?? ''}\n`).join('');
  if (table.rows.length === 0) return 'No resources found.\n';
  const shown = table.columnDefinitions.flatMap((column, index) =>
    column.priority === 0 || flags.output === 'wide' ? [index] : [],
  );
  const head = shown.map((index) => table.columnDefinitions[index]!.name.toUpperCase());
  const rows = table.rows.map((row) => shown.map((index) => cellText(row.cells[index])));
  if (!flags.allNamespaces) return renderTable(head, rows);
  return renderTable(
    ['NAMESPACE', ...head],
    rows.map((row, index) => [table.rows[index]!.object?.metadata?.namespace ?? '', ...row]),
  );
}

function cellText(cell: unknown): string {
  return typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'boolean'
    ? String(cell)
    : JSON.stringify(cell ?? '<none>');
}

function registerApply(program: Command, context: CliContext): void {
  common(program.command('apply'))
    .description('apply manifests in order of dependence')
    .argument('[path...]', 'files, folders, or - for standard input')
    .option('-f, --filename <path...>', 'the same, as kubectl spells it')
    .option('--dry-run', 'let the server check everything and store nothing')
    .addHelpText('after', '\nExamples:\n  weft apply examples/shop\n  cat web.yaml | weft apply -\n')
    .action(async (paths: string[], flags: CommonFlags & { filename?: string[]; dryRun?: boolean }) => {
      const all = [...paths, ...(flags.filename ?? [])];
      if (all.length === 0)
        throw new ExitError(EXIT_USAGE, 'apply what? Name a file, a folder, or - for standard input.');
      await using access = await connect(context, flags.kubeconfig);
      const { objects, errors } = await readManifests(all, { stdin: context.stdin });
      const applied = await applyObjects(
        { client: access.client, clock: systemClock },
        applyOrder(objects),
        {
          fieldManager: FIELD_MANAGER,
          namespace: flags.namespace ?? access.namespace,
          ...(flags.dryRun && { dryRun: true }),
          onApplied: (each) => context.stdout.write(describeApplied(each)),
        },
        context.stop,
      );
      const faults = [...errors, ...applied.flatMap((each) => (each.error ? [each.error] : []))];
      if (faults.length === 0) return;
      context.stderr.write(renderFaults(faults));
      throw new ExitError(EXIT_FAILURE, `${faults.length} not applied`);
    });
}

function describeApplied({ source, outcome }: Applied): string {
  return outcome === 'failed'
    ? ''
    : `${source.object.kind.toLowerCase()}/${source.object.metadata.name} ${outcome}\n`;
}

function registerDelete(program: Command, context: CliContext): void {
  common(program.command('delete'))
    .description('delete an object')
    .argument('<kind>')
    .argument('<name...>')
    .addHelpText('after', '\nExample:\n  weft delete pod front-7c9f-abcde\n')
    .action(async (kind: string, names: string[], flags: CommonFlags) => {
      await using access = await connect(context, flags.kubeconfig);
      const resource = await findResource(access, kind, context.stop);
      const namespace = resource.namespaced ? (flags.namespace ?? access.namespace) : undefined;
      for (const name of names) {
        await access.client.delete(resource, name, namespace, {
          propagationPolicy: 'Background',
          signal: context.stop,
        });
        context.stdout.write(`${resource.kind.toLowerCase()}/${name} deleted\n`);
      }
    });
}

/** Finds a kind by plural, singular, short name or Kind; `name.group` picks between groups. */
async function findResource(access: ApiAccess, wanted: string, signal: AbortSignal): Promise<Resource> {
  const [name, ...group] = wanted.toLowerCase().split('.');
  const known = await discoverResources(access.client, signal);
  const answersTo = (each: DiscoveredResource): boolean =>
    (each.plural === name || each.kind.toLowerCase() === name || each.shortNames.includes(name!)) &&
    (group.length === 0 || each.group === group.join('.'));
  const found = known.find(answersTo);
  if (!found) throw new ExitError(EXIT_FAILURE, `the server has no kind called "${wanted}"`);
  return found;
}
