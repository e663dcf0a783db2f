import type { Command } from 'commander';
import type { Resource } from '../../api/client/client.ts';
import { applyObjects, applyOrder, type Applied } from '../../api/client/manifest-apply.ts';
import { readManifests } from '../../api/client/manifest-read.ts';
import { systemClock } from '../../base/clock.ts';
import { discoverResources } from '../../api/client/discovery.ts';
import { messageOf } from '../../base/fault.ts';
import { type ApiAccess, type ApiFlags, apiFlags, connect } from '../api-access.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import { renderFaults } from './fault-table.ts';
import { FIELD_MANAGER } from './field-manager.ts';
import { kindAndName, resourceNamed } from './kinds-by-name.ts';

/** The verbs that change objects, for a machine without kubectl; kubectl does them on the same kubeconfig. */
export const register: RegisterCommand = (program, context) => {
  registerApply(program, context);
  registerDelete(program, context);
};

interface ApplyFlags extends ApiFlags {
  readonly filename?: readonly string[];
  readonly dryRun?: boolean;
  readonly forceConflicts?: boolean;
}

function registerApply(program: Command, context: CliContext): void {
  apiFlags(program.command('apply'))
    .description('apply manifests in order of dependence')
    .argument('[path...]', 'files, folders, or - for standard input')
    .option('-f, --filename <path...>', 'the same, as kubectl spells it')
    .option('--dry-run', 'let the server check everything and store nothing')
    .option('--force-conflicts', 'take over fields that others manage')
    .addHelpText('after', '\nExamples:\n  weft apply examples/shop\n  cat web.yaml | weft apply -\n')
    .action(async (paths: string[], flags: ApplyFlags) => {
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
          dryRun: flags.dryRun ?? false,
          force: flags.forceConflicts ?? false,
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
  apiFlags(program.command('delete'))
    .description('delete objects')
    .argument('[kind]', 'with its names; KIND/NAME does the same')
    .argument('[name...]')
    .option('-f, --filename <path...>', 'what these manifests name: files, folders, or -')
    .addHelpText(
      'after',
      '\nExamples:\n  weft delete pod front-7c9f-abcde\n  weft delete deploy/front -n shop\n  weft delete -f examples/shop\n',
    )
    .action(async (kind: string | undefined, names: string[], flags: ApiFlags & { filename?: string[] }) => {
      if ((kind === undefined) === (flags.filename === undefined))
        throw new ExitError(EXIT_USAGE, 'delete what? Give KIND NAME, or manifests with -f.');
      await using access = await connect(context, flags.kubeconfig);
      if (kind === undefined) return await deleteManifests(access, flags.filename ?? [], flags, context);
      const [kindName, one] = kindAndName(kind, names[0]);
      if (one === undefined) throw new ExitError(EXIT_USAGE, `delete which of ${kind}? Give names.`);
      const resource = resourceNamed(await discoverResources(access.client, context.stop), kindName);
      for (const name of names.length > 0 ? names : [one])
        await deleteOne(access, resource, name, flags.namespace ?? access.namespace, context);
    });
}

/** The objects of manifests, those that others stand on last. What is gone already is said, and the rest goes on. */
async function deleteManifests(
  access: ApiAccess,
  paths: readonly string[],
  flags: ApiFlags,
  context: CliContext,
): Promise<void> {
  const { objects, errors } = await readManifests(paths, { stdin: context.stdin });
  const faults = [...errors];
  const known = await discoverResources(access.client, context.stop);
  for (const { object, file, lineOf } of applyOrder(objects).toReversed()) {
    const { apiVersion, kind, metadata } = object;
    const [version = '', group = ''] = apiVersion.split('/').toReversed();
    const scope = metadata.namespace ?? flags.namespace ?? access.namespace;
    try {
      const resource = resourceNamed(known, group ? `${kind}.${group}` : kind);
      await deleteOne(access, { ...resource, version }, metadata.name, scope, context);
    } catch (error) {
      if (context.stop.aborted) throw error;
      faults.push({ file, line: lineOf('metadata.name'), field: 'metadata.name', message: messageOf(error) });
    }
  }
  if (faults.length === 0) return;
  context.stderr.write(renderFaults(faults));
  throw new ExitError(EXIT_FAILURE, `${faults.length} not deleted`);
}

async function deleteOne(
  { client }: ApiAccess,
  resource: Resource,
  name: string,
  namespace: string,
  { stdout, stop }: CliContext,
): Promise<void> {
  const options = { propagationPolicy: 'Background', signal: stop } as const;
  await client.delete(resource, name, resource.namespaced ? namespace : undefined, options);
  stdout.write(`${resource.kind.toLowerCase()}/${name} deleted\n`);
}
