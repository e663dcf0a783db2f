import type { Clock } from '../src/base/clock.ts';
import { Fault } from '../src/base/fault.ts';
import type { Logger } from '../src/base/log.ts';
import type { Exec } from '../src/net/exec.ts';
import type { Family } from '../src/net/ip.ts';
import type { Backend, ProxyMode } from './backend.ts';
import type { KernelOptions } from './kernel-options.ts';
import type { ProxyProtocol } from './userspace/proxy-protocol.ts';
import { UserspaceBackend } from './userspace/backend.ts';

export interface BackendDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
}

/** What the modes may be told; each takes what it knows. */
export interface BackendOptions {
  readonly family: Family;
  readonly kernel?: KernelOptions;
  readonly proxyProtocol?: ProxyProtocol;
  readonly drainDeadlineMs?: number;
}

/** Must reject with a Fault when the host lacks what the mode needs. */
export type OpenBackend = (deps: BackendDeps, options: BackendOptions) => Backend | Promise<Backend>;

/** One row a mode; the only place that knows them all. */
const BACKENDS: Readonly<Partial<Record<ProxyMode, OpenBackend>>> = {
  userspace: (deps, options) => new UserspaceBackend(deps, options),
};

export async function openBackend(
  mode: ProxyMode,
  deps: BackendDeps,
  options: BackendOptions,
): Promise<Backend> {
  const open = BACKENDS[mode];
  if (!open) throw new Fault('MODE_UNKNOWN', `proxy mode ${mode} does not exist`);
  return await open(deps, options);
}
