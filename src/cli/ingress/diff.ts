import { type Command, Option } from 'commander';
import { diffTables, type RouteChange } from '../../../ingress/diff/diff-tables.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';
import { addObjectFlags, type IngressObjectFlags } from './flags.ts';
import { loadIngress } from './still.ts';
import { renderTable } from '../text-table.ts';

interface DiffFlags extends IngressObjectFlags {
  readonly to?: readonly string[];
  readonly output: 'table' | 'json';
  readonly exitCode?: boolean;
}

const EXAMPLES = `
Examples:
  weft ingress diff --from old/ --to new/
  weft ingress diff --kubeconfig ~/.kube/config --to new/ --exit-code

Each line is a class of requests that another backend answers after the change, with one request that shows it.`;

export function addDiff(parent: Command, context: CliContext): void {
  const command = parent
    .command('diff')
    .description('which requests another backend would answer after a change of the objects')
    .option('--to <path...>', 'the objects after the change (file, folder or -)')
    .addOption(new Option('-o, --output <format>').choices(['table', 'json']).default('table'))
    .option('--exit-code', 'end with 1 when anything changes');
  addObjectFlags(command)
    .addHelpText('after', EXAMPLES)
    .action((flags: DiffFlags) => run(flags, context));
}

async function run(flags: DiffFlags, context: CliContext): Promise<void> {
  if (!flags.to) throw new ExitError(EXIT_USAGE, 'give --to: the objects after the change');
  using before = await loadIngress(context, flags);
  const { kubeconfig: _, ...others } = flags;
  using after = await loadIngress(context, { ...others, from: flags.to });
  const changes = diffTables(before.still.apply(), after.still.apply());
  context.stdout.write(
    flags.output === 'json' ? `${JSON.stringify(changes, undefined, 2)}\n` : tableOf(changes),
  );
  if (changes.length > 0 && flags.exitCode)
    throw new ExitError(EXIT_FAILURE, `${changes.length} classes of requests change`);
}

function tableOf(changes: readonly RouteChange[]): string {
  if (changes.length === 0) return 'no request is answered by another backend\n';
  const rows = changes.map(({ host, paths, headers, scheme, from, to, witness }) => [
    host,
    paths.length > 4 ? `${paths.slice(0, 3).join(', ')} and ${paths.length - 3} more` : paths.join(', '),
    headers.join(', ') || '-',
    scheme,
    from,
    to,
    witness.url,
  ]);
  return renderTable(['HOST', 'PATHS', 'HEADERS', 'SCHEME', 'BEFORE', 'AFTER', 'WITNESS'], rows);
}
