import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { FIELD_OF_FLAG, FIELDS, type FieldPath } from '../../proxy/config-fields.ts';
import { parseProxyConfig, type ConfigFault, type ProxyConfig } from '../../proxy/config.ts';
import { messageOf } from '../base/fault.ts';
import { type CliContext, EXIT_USAGE, ExitError } from './context.ts';

/** What commander makes of kube-proxy's flags: camelCase names, all text. */
export interface KubeProxyFlags {
  readonly config?: string;
  readonly [flag: string]: unknown;
}

/** kube-proxy's flags with its names; `hidden` keeps them out of --help. */
export function addKubeProxyFlags(command: Command, hidden = false): void {
  command.option('--config <file>', 'KubeProxyConfiguration v1alpha1 (most flags have no effect beside it)');
  for (const [name, path] of FIELD_OF_FLAG) {
    const { fallback, ignored } = FIELDS[path] as { fallback: unknown; ignored?: string };
    const value = typeof fallback === 'boolean' ? '[true|false]' : '<value>';
    const effect = ignored === undefined ? '' : ` (no effect: ${ignored})`;
    const option = command.createOption(`--${name} ${value}`, `${path} of KubeProxyConfiguration${effect}`);
    command.addOption(option.hideHelp(hidden));
  }
}

/** Reads flags and file; throws with every fault when the configuration is not valid. */
export async function readProxyConfig(flags: KubeProxyFlags, context: CliContext): Promise<ProxyConfig> {
  const given = new Map<FieldPath, string>();
  for (const [name, path] of FIELD_OF_FLAG) {
    const value = flags[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
    if (value !== undefined) given.set(path, value === true ? 'true' : (value as string));
  }
  const outcome = parseProxyConfig({
    flags: given,
    ...(flags.config !== undefined && { file: await readConfigFile(flags.config) }),
  });
  for (const { at, message } of outcome.notes) context.log.info('setting', { at, message });
  if ('config' in outcome) return outcome.config;
  const list = outcome.faults.map(({ at, message }: ConfigFault) => `  ${at}: ${message}`).join('\n');
  throw new ExitError(EXIT_USAGE, `${flags.config ?? 'flags'}: the configuration is not valid\n${list}`);
}

async function readConfigFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `--config: ${messageOf(error)}`);
  }
}
