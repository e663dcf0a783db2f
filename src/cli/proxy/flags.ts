import { readFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { type Command, Option } from 'commander';
import { FIELD_OF_FLAG, FIELDS, type FieldPath, type FieldValues } from '../../../proxy/config/fields.ts';
import { parseProxyConfig, type ConfigFault, type ProxyConfig } from '../../../proxy/config/config.ts';
import type { ProxySettings } from '../../../proxy/settings.ts';
import { USERSPACE_CAPTURES, type UserspaceCapture } from '../../../proxy/userspace/kernel-table.ts';
import { messageOf } from '../../base/fault.ts';
import type { Family } from '../../net/ip.ts';
import { type CliContext, EXIT_USAGE, ExitError } from '../context.ts';

/** What commander makes of kube-proxy's flags: camelCase names, all text. */
export interface KubeProxyFlags {
  readonly config?: string;
  readonly master?: string;
  readonly [flag: string]: unknown;
}

/** Flags of kube-proxy that no field of its configuration stands for, and why they have no effect here. */
const WITHOUT_FIELD: Readonly<Record<string, string>> = {
  'boot-id-file': 'weft reports no machine',
  'machine-id-file': 'weft reports no machine',
  'log-json-info-buffer-size': 'weft writes each line at once',
  'log-json-split-stream': 'weft logs to stderr',
  'log-text-info-buffer-size': 'weft writes each line at once',
  'log-text-split-stream': 'weft logs to stderr',
};

/** kube-proxy's flags with its names; `hidden` keeps them out of --help. */
export function addKubeProxyFlags(command: Command, hidden = false): void {
  const master = command.createOption(
    '--master <url>',
    'address of the API server, whatever the kubeconfig says',
  );
  command.addOption(master.hideHelp(hidden));
  command.option('--config <file>', 'KubeProxyConfiguration v1alpha1 (most flags have no effect beside it)');
  for (const [name, path] of FIELD_OF_FLAG) {
    const { fallback, ignored } = FIELDS[path] as { fallback: unknown; ignored?: string };
    const value = typeof fallback === 'boolean' ? '[true|false]' : '<value>';
    const effect = ignored === undefined ? '' : ` (no effect: ${ignored})`;
    const long = name === 'v' ? '-v, --v' : `--${name}`;
    const option = command.createOption(`${long} ${value}`, `${path} of KubeProxyConfiguration${effect}`);
    command.addOption(option.hideHelp(hidden));
  }
  for (const [name, reason] of Object.entries(WITHOUT_FIELD)) {
    const option = command.createOption(`--${name} [value]`, `of kube-proxy (no effect: ${reason})`);
    command.addOption(option.hideHelp(hidden));
  }
}

/** What kube-proxy has no flags for, and `weft proxy` and `weft node` take. */
export interface OwnProxyFlags {
  readonly proxyProtocol?: string;
  readonly probeEndpoints?: boolean;
  readonly userspaceCapture: UserspaceCapture;
}

export function addOwnProxyFlags(command: Command): void {
  command
    .option('--proxy-protocol <version>', 'announce clients to endpoints: v1 or v2 (mode userspace)')
    .option('--probe-endpoints', 'connect to TCP endpoints at times; leave out those that do not answer')
    .addOption(
      new Option(
        '--userspace-capture <how>',
        'mode userspace: a socket for each address, or by nft one listener for TCP',
      )
        .choices(USERSPACE_CAPTURES)
        .default('bind'),
    );
}

/** Throws ExitError where it is none. */
export function proxyProtocolOf({ proxyProtocol }: OwnProxyFlags): 'v1' | 'v2' | undefined {
  if (proxyProtocol === undefined || proxyProtocol === 'v1' || proxyProtocol === 'v2') return proxyProtocol;
  throw new ExitError(EXIT_USAGE, `--proxy-protocol ${proxyProtocol}: use v1 or v2`);
}

export async function readProxyConfig(flags: KubeProxyFlags, context: CliContext): Promise<ProxyConfig> {
  return (await readProxySettings(flags, context)).config;
}

/** Reads flags and file; throws with every fault when the configuration is not valid. */
export async function readProxySettings(
  flags: KubeProxyFlags,
  context: CliContext,
): Promise<{ readonly config: ProxyConfig; readonly values: FieldValues }> {
  const given = new Map<FieldPath, string>();
  for (const [name, path] of FIELD_OF_FLAG) {
    const value = flags[camelCase(name)];
    if (value !== undefined) given.set(path, value === true ? 'true' : (value as string));
  }
  const outcome = parseProxyConfig({
    flags: given,
    ...(flags.config !== undefined && { file: await readConfigFile(flags.config) }),
  });
  const idle = Object.entries(WITHOUT_FIELD).filter(([name]) => flags[camelCase(name)] !== undefined);
  const notes = idle.map(([name, reason]) => ({ at: `--${name}`, message: `no effect: ${reason}` }));
  for (const { at, message } of [...outcome.notes, ...notes]) context.log.info('setting', { at, message });
  if ('config' in outcome) return outcome;
  const list = outcome.faults.map(({ at, message }: ConfigFault) => `  ${at}: ${message}`).join('\n');
  throw new ExitError(EXIT_USAGE, `${flags.config ?? 'flags'}: the configuration is not valid\n${list}`);
}

/** As commander names an option. */
function camelCase(flag: string): string {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

async function readConfigFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `--config: ${messageOf(error)}`);
  }
}

/** What the configuration means for the proxy of this host. Service ranges come from the API later. */
export function proxySettings(config: ProxyConfig, strict = false): ProxySettings {
  const { mode, detectLocal, masqueradeAll, localhostNodePorts, nodePortAddresses, allowExternalIPs } =
    config;
  return {
    mode,
    nodeName: (config.hostnameOverride || hostname()).trim().toLowerCase(),
    families: hostFamilies(),
    detectLocal,
    masqueradeAll,
    localhostNodePorts,
    nodePortAddresses,
    serviceCIDRs: [],
    allowExternalIPs,
    strict,
  };
}

/** IPv6 only where the kernel has it. */
export function hostFamilies(): readonly Family[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.some(({ family }) => family === 'IPv6') ? ['IPv4', 'IPv6'] : ['IPv4'];
}
