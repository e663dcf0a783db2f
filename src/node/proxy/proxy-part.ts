import type { SnapshotSource } from '../../../endpoints/snapshot.ts';
import type { ProxyConfig } from '../../../proxy/config/config.ts';
import { hostAddresses } from '../../../proxy/host-addresses.ts';
import { openMetricsServer } from '../../../proxy/metrics/server.ts';
import { removeModes } from '../../../proxy/mode-removal.ts';
import { Proxier, type ProxierOptions } from '../../../proxy/proxier.ts';
import type { ProxySettings } from '../../../proxy/settings.ts';
import type { UserspaceCapture } from '../../../proxy/userspace/kernel-table.ts';
import type { Clock } from '../../base/clock.ts';
import { hasCode, messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Registry } from '../../base/metrics.ts';
import type { EngineName } from '../../net/engine.ts';
import type { Exec } from '../../net/exec.ts';
import type { OpenNetlink } from '../../net/netlink/socket.ts';

export interface ProxyPartDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
  readonly openNetlink?: OpenNetlink;
  readonly metrics: Registry;
  /** For /readyz. */
  readonly isReady: () => boolean;
}

export interface ProxyPartOptions {
  readonly config: ProxyConfig;
  readonly settings: ProxySettings;
  readonly proxyProtocol: 'v1' | 'v2' | undefined;
  /** How mode userspace gets at its clients. */
  readonly capture: UserspaceCapture;
  /** Who relays in mode userspace; default auto. */
  readonly engine?: EngineName;
  /** Processors that the native engine's threads are bound to, in turn. */
  readonly workerCpus?: readonly number[];
  /** Leave out endpoints that do not answer probes. */
  readonly probeEndpoints: boolean;
  /** False: no health and no metrics are served. */
  readonly listen: boolean;
}

/** A proxy with kube-proxy's two listeners. */
export interface ProxyPart extends AsyncDisposable {
  readonly proxier: Proxier;
  /** Ports that were got; undefined where nothing listens. */
  readonly healthzPort: number | undefined;
  readonly metricsPort: number | undefined;
}

/**
 * Opens the proxy; it serves what the snapshot holds, and what an earlier process wrote in another mode is gone,
 * before the promise resolves. A listener whose address is taken is left out with an error in the log, unless
 * bindAddressHardFail.
 */
export async function openProxyPart(deps: ProxyPartDeps, options: ProxyPartOptions): Promise<ProxyPart> {
  await using stack = new AsyncDisposableStack();
  const proxier = stack.use(await openProxier(deps, options));
  await removeOthers(deps, options);
  const metricsPort = options.listen ? await openMetrics(deps, options, proxier, stack) : undefined;
  const owned = stack.move();
  return {
    proxier,
    healthzPort: proxier.healthzPort,
    metricsPort,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openProxier(
  deps: ProxyPartDeps,
  {
    config,
    settings,
    proxyProtocol,
    probeEndpoints,
    capture,
    engine = 'auto',
    workerCpus,
    listen,
  }: ProxyPartOptions,
): Promise<Proxier> {
  const options: ProxierOptions = {
    settings,
    minSyncMs: config.minSyncMs,
    syncPeriodMs: config.syncPeriodMs,
    kernel: config.kernel,
    probeEndpoints,
    capture,
    engine,
    ...(workerCpus && { workerCpus }),
    ...(proxyProtocol !== undefined && { proxyProtocol }),
  };
  const all = { ...deps, hostAddresses };
  if (!listen || !config.healthz) return await Proxier.open(all, options);
  try {
    return await Proxier.open(all, { ...options, healthz: config.healthz });
  } catch (error) {
    if (config.bindAddressHardFail || !hasCode(error, 'EADDRINUSE')) throw error;
    deps.log.error('healthz not served', { reason: messageOf(error) });
    return await Proxier.open(all, options);
  }
}

/** As kube-proxy does at its start, but after the new mode serves: no connection falls between the two. */
async function removeOthers(deps: ProxyPartDeps, { config, settings }: ProxyPartOptions): Promise<void> {
  const { families, mode } = settings;
  const options = { families, except: mode, kernel: config.kernel };
  const faults = await removeModes(deps, options, new AbortController().signal);
  if (faults.length > 0) deps.log.warn('rules of other modes not removed', { faults });
}

async function openMetrics(
  { metrics: registry, log, isReady }: ProxyPartDeps,
  { config }: ProxyPartOptions,
  proxier: Proxier,
  stack: AsyncDisposableStack,
): Promise<number | undefined> {
  if (!config.metrics) return undefined;
  const mode = (): string => proxier.status.current.value.mode;
  try {
    const deps = { registry, mode, config: () => config.object, isReady };
    return stack.use(await openMetricsServer(deps, config.metrics)).port;
  } catch (error) {
    if (config.bindAddressHardFail) throw error;
    log.error('metrics not served', { reason: messageOf(error) });
    return undefined;
  }
}
