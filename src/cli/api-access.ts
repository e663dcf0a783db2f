import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { createApiClient } from '../api/client/api-client.ts';
import type { ApiClient } from '../api/client/client.ts';
import { loadKubeconfig } from '../api/client/kubeconfig.ts';
import { type OpenExchange, openHttpExchange } from '../api/client/open-exchange.ts';
import { systemClock } from '../base/clock.ts';
import { hasCode, messageOf } from '../base/fault.ts';
import { exec } from '../net/exec.ts';
import type { HttpExchange } from '../net/http-exchange.ts';
import { type CliContext, EXIT_USAGE, ExitError } from './context.ts';
import { defaultDataDir, upKubeconfig } from './data-dir.ts';

/** Flags of every command that asks an API server for objects. */
export interface ApiFlags {
  readonly kubeconfig?: string;
  readonly namespace?: string;
}

export function apiFlags(command: Command): Command {
  return command
    .option('--kubeconfig <file>', 'how to reach the API (default: $KUBECONFIG, then what `weft up` wrote)')
    .option('-n, --namespace <name>', 'namespace (default: the one of the kubeconfig)');
}

export interface ApiAccess extends AsyncDisposable {
  readonly client: ApiClient;
  readonly exchange: HttpExchange;
  /** Default namespace of the kubeconfig's context. */
  readonly namespace: string;
}

/** Whether the kubeconfig that `connect` would take is one that `weft up` wrote: its pods lie beside it. */
export function asksUp(env: CliContext['env'], flag: string | undefined): boolean {
  const path = flag ?? env['KUBECONFIG'] ?? upKubeconfig(defaultDataDir(env));
  return existsSync(path) && existsSync(join(dirname(path), 'kubelet', 'kubelet-id'));
}

/** --kubeconfig, else $KUBECONFIG, else what `weft up` wrote, else ~/.kube/config. */
export async function connect(context: CliContext, flag: string | undefined): Promise<ApiAccess> {
  const { env } = context;
  const candidates = flag
    ? [flag]
    : env['KUBECONFIG']
      ? [env['KUBECONFIG']]
      : [upKubeconfig(defaultDataDir(env)), join(env['HOME'] || homedir(), '.kube', 'config')];
  let fault: unknown;
  for (const path of candidates) {
    try {
      const access = await loadKubeconfig(path);
      const open: OpenExchange = openHttpExchange(access, { clock: systemClock, exec, env });
      return {
        client: createApiClient(open.exchange, { userAgent: 'weft-cli' }),
        exchange: open.exchange,
        namespace: access.namespace,
        [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
      };
    } catch (error) {
      fault = error;
      if (!hasCode(error, 'KUBECONFIG_INVALID') || !/no such file/.test(messageOf(error))) break;
    }
  }
  throw new ExitError(
    EXIT_USAGE,
    `${messageOf(fault)}. Start \`weft up\`, or name a kubeconfig with --kubeconfig.`,
  );
}
