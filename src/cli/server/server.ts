import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { systemClock } from '../../base/clock.ts';
import { Registry } from '../../base/metrics.ts';
import { exec } from '../../net/exec.ts';
import { openControlPlane } from '../../node/control-plane.ts';
import { collectWhenQuiet, processMemory } from '../../node/host/quiet-collection.ts';
import { defaultDataDir, upKubeconfig } from '../data-dir.ts';
import type { CliContext, RegisterCommand } from '../context.ts';
import { addressRange, cidrFlag, listenOption, storeUrl } from '../flags.ts';
import { type ProtectionFlags, readProtection } from './server-protection.ts';
import { startFault } from '../start-fault.ts';
import { stopped } from '../stopped.ts';

interface ServerFlags extends ProtectionFlags {
  readonly store?: string;
  readonly dataDir?: string;
  readonly apiListen: { readonly host: string; readonly port: number };
  readonly serviceCidr: readonly string[];
  readonly kubeconfigOut?: string;
  readonly lbPool?: readonly string[];
}

const NODE_PORTS = { from: 30_000, to: 32_767 } as const;
const SERVICE_CIDR_DEFAULT = '10.96.0.0/12';

export const register: RegisterCommand = (program, context) => {
  program
    .command('server')
    .description('API server and controllers')
    .option(
      '--store <url>',
      'sqlite:FILE | etcd:URL,URL,... | memory: (default: a file in the data folder)',
      storeUrl,
    )
    .option('--data-dir <folder>', 'where keys (and the store) live')
    .addOption(listenOption('--api-listen <address:port>', 'API server', '0.0.0.0', 6443))
    .option(
      '--service-cidr <cidr>',
      'addresses of services; twice for dual stack',
      (text: string, all?: readonly string[]) => [...(all ?? []), cidrFlag(text)],
    )
    .option('--lb-pool <range>', 'addresses for LoadBalancer services (repeatable)', addressRange)
    .option('--audit-policy-file <file>', 'which requests are told in the audit log (audit.k8s.io/v1 Policy)')
    .option('--audit-log-path <file>', 'where the audit log is written, one JSON event a line')
    .option('--encryption-provider-config <file>', 'what is sealed in the store (EncryptionConfiguration)')
    .option(
      '--pki-key-file <file>',
      'keep CA and token key in the store, sealed with this secret, for all servers',
    )
    .option('--kubeconfig-out <file>', 'write the administrator’s kubeconfig here too')
    .addHelpText(
      'after',
      '\nExamples:\n  weft server --store sqlite:/var/lib/weft/store.db --kubeconfig-out admin.conf\n' +
        '  weft server --store etcd:https://10.0.0.1:2379,https://10.0.0.2:2379\n',
    )
    .action((flags: ServerFlags) => run(flags, context));
};

async function run(flags: ServerFlags, context: CliContext): Promise<void> {
  const dataDir = flags.dataDir ?? defaultDataDir(context.env);
  const onReady = (name: string, detail: string): void =>
    context.stdout.write(`${name.padEnd(12)} ${detail}\n`);
  const deps = {
    clock: systemClock,
    log: context.log,
    metrics: new Registry(),
    exec,
    random: Math.random,
    onReady,
  };
  const protection = await readProtection(flags);
  const opening = openControlPlane(deps, {
    ...protection,
    dataDir,
    store: flags.store,
    listen: flags.apiListen,
    serviceCidrs: flags.serviceCidr?.length > 0 ? flags.serviceCidr : [SERVICE_CIDR_DEFAULT],
    nodePortRange: NODE_PORTS,
    controllers: {
      loadBalancerPools: flags.lbPool ? [{ name: 'default', addresses: flags.lbPool }] : [],
      // several servers may share one store: one of them controls at a time
      leaderElection: {
        name: 'weft-controllers',
        namespace: 'kube-system',
        identity: `${hostname()}_${randomUUID()}`,
      },
    },
  });
  await using control = await opening.catch((error: unknown) => {
    throw startFault(error, [['--api-listen', flags.apiListen]]);
  });
  const memory = processMemory();
  using _collecting = memory && collectWhenQuiet({ clock: systemClock, ...memory });
  for (const path of [upKubeconfig(dataDir), flags.kubeconfigOut]) {
    if (path !== undefined) await writeFile(path, control.server.adminKubeconfig, { mode: 0o600 });
  }
  context.stdout.write(`kubeconfig   ${flags.kubeconfigOut ?? upKubeconfig(dataDir)}\nready\n`);
  await stopped(context.stop);
  context.stdout.write('stopping: answering what is under way\n');
}
