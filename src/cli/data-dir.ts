import { homedir } from 'node:os';
import { join } from 'node:path';
import type { CliContext } from './context.ts';

/** Where `weft up` keeps its things unless told otherwise (XDG base directory specification). */
export function defaultDataDir(env: CliContext['env']): string {
  return join(env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state'), 'weft');
}

/** The kubeconfig that `weft up` writes into its data folder. */
export function upKubeconfig(dataDir: string): string {
  return join(dataDir, 'kubeconfig');
}
