import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { hostAddresses } from '../../proxy/host-addresses.ts';
import { createApiClient } from '../api/client/api-client.ts';
import type { ApiClient } from '../api/client/client.ts';
import { type InformerFactory, openInformerFactory } from '../api/client/informer-factory.ts';
import { ApiServer } from '../api/server/server.ts';
import type { ApiServerOptions } from '../api/server/server-options.ts';
import { Fault, messageOf } from '../base/fault.ts';
import { type ControllersOptions, openControllers } from '../controllers/open.ts';
import { familyOf, joinHostPort } from '../net/ip.ts';
import { registerStoreMetrics } from '../store/metrics.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { ensureIngressClass } from './ingress/ingress-class.ts';
import type { NodeDeps } from './parts.ts';

export interface ControlPlaneOptions {
  /** Folder for keys, the store and pods; undefined = nothing is kept (`--data-dir memory:`). */
  readonly dataDir: string | undefined;
  /** `memory:`, `sqlite:FILE` or `etcd:URL,...`; undefined = a file in dataDir, or memory. */
  readonly store: string | undefined;
  readonly listen: { readonly host: string; readonly port: number };
  readonly serviceCidrs: readonly string[];
  readonly nodePortRange: { readonly from: number; readonly to: number };
  readonly controllers: ControllersOptions;
  readonly audit?: ApiServerOptions['audit'];
  readonly encryption?: ApiServerOptions['encryption'];
  readonly pkiSecret?: string;
}

/** Store, API server and controllers, opened in that order and disposed in reverse. */
export interface ControlPlane extends AsyncDisposable {
  readonly store: Store;
  readonly server: ApiServer;
  /** In-process access as a cluster administrator, for the parts of this process. */
  readonly client: ApiClient;
  readonly informers: InformerFactory;
}

/** Groups whose members may do everything; the in-process parts speak as this user. */
const ADMINISTRATORS = 'system:masters';

export async function openControlPlane(deps: NodeDeps, options: ControlPlaneOptions): Promise<ControlPlane> {
  await using stack = new AsyncDisposableStack();
  if (options.dataDir !== undefined) makeFolder(options.dataDir);
  const url =
    options.store ??
    (options.dataDir === undefined ? 'memory:' : `sqlite:${join(options.dataDir, 'store.db')}`);
  const store = stack.use(await openStore(deps, url));
  registerStoreMetrics(deps.metrics, store);
  deps.onReady('store', url);
  const server = stack.use(
    await ApiServer.open(
      { ...deps, store },
      {
        listen: options.listen,
        dataDir: options.dataDir,
        serviceCidrs: options.serviceCidrs,
        nodePortRange: options.nodePortRange,
        sharedStore: url.startsWith('etcd:'),
        ...reachableBy(options.listen),
        ...(options.audit && { audit: options.audit }),
        ...(options.encryption && { encryption: options.encryption }),
        ...(options.pkiSecret !== undefined && { pkiSecret: options.pkiSecret }),
      },
    ),
  );
  deps.onReady('api', `https://${server.address}`);
  const identity = { username: 'system:weft', groups: [ADMINISTRATORS, 'system:authenticated'] };
  const client = createApiClient(server.exchange(identity), { userAgent: 'weft' });
  await ensureIngressClass(client);
  const informers = stack.use(openInformerFactory(client, deps));
  stack.use(
    await openControllers(
      { ...deps, client, informers },
      { ...options.controllers, rootCaPem: server.caPem },
    ),
  );
  deps.onReady('controllers', '');
  const owned = stack.move();
  return { store, server, client, informers, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** By which addresses and names clients on other hosts may call the server, and which one they are given. */
function reachableBy({ host, port }: ControlPlaneOptions['listen']): {
  readonly serverNames: readonly string[];
  readonly serverAddresses: readonly string[];
  readonly advertise?: string;
} {
  const serverNames = [hostname().toLowerCase()];
  if (host !== '0.0.0.0' && host !== '::') return { serverNames, serverAddresses: [host] };
  const addresses = hostAddresses();
  const sameFamily = addresses.find((address) => familyOf(address) === familyOf(host));
  // :: takes IPv4 too, 0.0.0.0 nothing else; a host without a network still has itself
  const advertised = host === '::' ? (sameFamily ?? addresses[0] ?? '::1') : (sameFamily ?? '127.0.0.1');
  return { serverNames, serverAddresses: addresses, advertise: joinHostPort(advertised, port) };
}

function makeFolder(path: string): void {
  try {
    makeParents(path);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new Fault(
      'DATA_DIR',
      `cannot use ${path} as data folder: ${messageOf(cause)}. Choose another with --data-dir.`,
      { cause },
    );
  }
}

/** One level after the other: a recursive mkdir of Node never returns below /proc. */
function makeParents(path: string): void {
  if (existsSync(path)) return;
  makeParents(dirname(path));
  // Others may pass through to a pod's folder (runAsUser); what is secret here is closed by itself.
  mkdirSync(path, { mode: 0o711 });
}
