import { type Command, Option } from 'commander';
import {
  checkConfigMap,
  checkIngresses,
  type IngressVerdict,
} from '../../../ingress/explain/check-ingresses.ts';
import { type CliContext, EXIT_FAILURE, ExitError } from '../context.ts';
import { addObjectFlags, type IngressObjectFlags } from './flags.ts';
import { loadIngress, withPaths } from './still.ts';
import { renderTable } from '../text-table.ts';

interface CheckFlags extends IngressObjectFlags {
  readonly output: 'table' | 'json';
  readonly all?: boolean;
}

const EXAMPLES = `
Examples:
  kubectl get ing,ingressclass,svc,endpointslices,cm -A -o yaml | weft ingress check -
  weft ingress check --kubeconfig ~/.kube/config -o json
  weft ingress check dump.yaml --configmap ingress-nginx/ingress-nginx-controller

Exit code 1 when something is refused. \`honoured\` works as with ingress-nginx, \`differs\` works another way that is
named, \`refused\` is not done and says what to use instead.`;

export function addCheck(parent: Command, context: CliContext): void {
  const command = parent
    .command('check')
    .description('verdict on every annotation, rule and ConfigMap key, before moving to weft')
    .argument('[path...]', 'manifests or a cluster dump (file, folder or -)')
    .addOption(new Option('-o, --output <format>').choices(['table', 'json']).default('table'))
    .option('--all', 'list honoured annotations and Ingresses of other controllers too');
  addObjectFlags(command)
    .addHelpText('after', EXAMPLES)
    .action((paths: string[], flags: CheckFlags) => run(withPaths(flags, paths), context));
}

async function run(flags: CheckFlags, context: CliContext): Promise<void> {
  using loaded = await loadIngress(context, flags);
  const settings = flags.configmap === undefined ? undefined : checkConfigMap(loaded.still, flags.configmap);
  if (flags.configmap !== undefined && !settings)
    throw new ExitError(EXIT_FAILURE, `ConfigMap ${flags.configmap} (--configmap) is not among the objects`);
  const ingresses = checkIngresses(loaded.still, loaded.tracker.snapshot, loaded.classes);
  const verdicts = settings ? [settings, ...ingresses] : ingresses;
  context.stdout.write(
    flags.output === 'json'
      ? `${JSON.stringify(verdicts, undefined, 2)}\n`
      : tableOf(verdicts, flags.all === true),
  );
  const refused = verdicts.filter(({ verdict }) => verdict === 'refused').length;
  if (refused > 0)
    throw new ExitError(
      EXIT_FAILURE,
      `${refused} of ${verdicts.length} ${settings ? 'objects' : 'Ingresses'} ask for something that is refused`,
    );
}

function tableOf(verdicts: readonly IngressVerdict[], all: boolean): string {
  const rows: string[][] = [];
  for (const each of verdicts) {
    if (each.verdict === 'foreign' && !all) continue;
    const place = `${each.namespace}/${each.name}`;
    const name = each.kind === 'Ingress' ? place : `configmap ${place}`;
    const before = rows.length;
    for (const { annotation, verdict, detail } of each.annotations)
      if (all || verdict !== 'honoured') rows.push([name, verdict, annotation, detail]);
    for (const problem of each.problems) rows.push([name, 'refused', 'rule', problem]);
    for (const warning of each.warnings)
      rows.push([name, each.verdict === 'foreign' ? 'foreign' : 'warning', '', warning]);
    if (rows.length === before)
      rows.push([
        name,
        'honoured',
        '',
        `${each.annotations.length} ${each.kind === 'Ingress' ? 'annotations, all rules served' : 'keys'}`,
      ]);
  }
  const ingresses = verdicts.filter(({ kind }) => kind === 'Ingress');
  const count = (kind: IngressVerdict['verdict']): number =>
    ingresses.filter(({ verdict }) => verdict === kind).length;
  const summary =
    `${ingresses.length} Ingresses: ${count('honoured')} honoured, ${count('differs')} differ, ` +
    `${count('refused')} refused, ${count('foreign')} of other controllers\n`;
  return (
    (rows.length > 0 ? renderTable(['INGRESS', 'VERDICT', 'WHAT', 'DETAIL'], rows) : '') + `\n${summary}`
  );
}
