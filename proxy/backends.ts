import type { NodeView } from '../endpoints/node-view.ts';
import type { Clock } from '../src/base/clock.ts';
import type { Logger } from '../src/base/log.ts';
import type { Registry } from '../src/base/metrics.ts';
import type { EngineName } from '../src/net/engine.ts';
import type { Exec } from '../src/net/exec.ts';
import type { Family } from '../src/net/ip.ts';
import type { OpenNetlink } from '../src/net/netlink/socket.ts';
import type { Backend, Evaluator, ProxyMode } from './backend.ts';
import { viewEvaluator } from './packet/evaluate.ts';
import type { KernelOptions } from './config/kernel-options.ts';
import { iptablesEvaluator, openIptables, renderIptables } from './iptables/mode.ts';
import { ipvsEvaluator, openIpvs, renderIpvs } from './ipvs/mode.ts';
import { nftablesEvaluator, openNftables, renderNftables } from './nftables/mode.ts';
import { StaleFlowBackend } from './kernel/stale-flows.ts';
import { UserspaceBackend } from './userspace/backend.ts';
import type { UserspaceCapture } from './userspace/kernel-table.ts';
import type { ProxyProtocol } from './userspace/proxy-protocol.ts';
import { renderDoors } from './userspace/render.ts';

export interface BackendDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
  /** Talks to the kernel without starting programs; absent: programs do it all. */
  readonly openNetlink?: OpenNetlink;
  readonly metrics?: Registry;
}

/** What the modes may be told; each takes what it knows. */
export interface BackendOptions {
  readonly family: Family;
  readonly kernel?: KernelOptions;
  readonly proxyProtocol?: ProxyProtocol;
  readonly drainDeadlineMs?: number;
  /** How mode userspace gets at its clients. */
  readonly capture?: UserspaceCapture;
  /** Who relays in mode userspace; default auto. */
  readonly engine?: EngineName;
  /** Processors that the native engine's threads are bound to, in turn; IPv4's first. */
  readonly workerCpus?: readonly number[];
}

/** What a mode brings. */
interface ModeEntry {
  /** Must reject with a Fault when the host lacks what the mode needs. */
  open(deps: BackendDeps, options: BackendOptions): Backend | Promise<Backend>;
  /** What it would write for a view, as text for people and diffs (`--render`). */
  render(view: NodeView, options: BackendOptions): string;
  /** Answers packets over what it compiles from the views, without touching the kernel. */
  evaluator(views: readonly NodeView[]): Evaluator;
}

/** One row a mode; the only place that knows them all. */
const MODES: Readonly<Record<ProxyMode, ModeEntry>> = {
  userspace: {
    open: (deps, options) => UserspaceBackend.open(deps, options),
    render: renderDoors,
    evaluator: (views) => viewEvaluator(views, 'userspace'),
  },
  iptables: { open: openIptables, render: renderIptables, evaluator: iptablesEvaluator },
  nftables: { open: openNftables, render: renderNftables, evaluator: nftablesEvaluator },
  // after iptables: chains that kube-proxy left may refer to sets
  ipvs: { open: openIpvs, render: renderIpvs, evaluator: ipvsEvaluator },
};

/** Modes that are there, for messages and cleanup. */
export const MODE_NAMES = Object.keys(MODES) as readonly ProxyMode[];

export async function openBackend(
  mode: ProxyMode,
  deps: BackendDeps,
  options: BackendOptions,
): Promise<Backend> {
  const backend = await MODES[mode].open(deps, options);
  // sockets know their own flows
  return mode === 'userspace' ? backend : new StaleFlowBackend(deps, backend);
}

export function renderMode(mode: ProxyMode, view: NodeView, options: BackendOptions): string {
  return MODES[mode].render(view, options);
}

export function modeEvaluator(mode: ProxyMode, views: readonly NodeView[]): Evaluator {
  return MODES[mode].evaluator(views);
}
