import { createServer, type AddressInfo, type Socket } from 'node:net';
import { UserspaceBackend } from '../../proxy/userspace/backend.ts';
import type { RelayLimits } from '../../proxy/userspace/relay-context.ts';
import { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import type { NodeSettings, ServicePortView } from '../../endpoints/node-view.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import type { KubeObject } from '../../src/api/kinds/meta.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import type { EngineName } from '../../src/net/engine.ts';
import { exec } from '../../src/net/exec.ts';
import { service, slice } from '../support/kube-objects.ts';
import type { FakeClock } from '../support/fake-clock.ts';

export const VIP = '127.96.44.1';
export const POD = '127.244.44.1';

const settings: NodeSettings = {
  name: 'alpha',
  zone: undefined,
  family: 'IPv4',
  addresses: [],
  primaryAddresses: [],
  nodePortAddresses: ['127.0.0.0/8'],
  detectLocal: { mode: 'None' },
  masqueradeAll: false,
  localhostNodePorts: true,
  serviceCIDRs: [],
  allowExternalIPs: false,
};

/** A backend alone, on a clock of the test's choice. */
export async function backend(
  engine: EngineName,
  objects: readonly KubeObject[],
  limits: Partial<RelayLimits>,
  clock: FakeClock | typeof systemClock = systemClock,
) {
  const tracker = new Tracker({ log: silentLogger });
  for (const object of objects) tracker.upsert(object);
  tracker.flush();
  const { view } = new NodeViewTracker(tracker, settings).refresh();
  const options = { family: 'IPv4', limits, drainDeadlineMs: 0, engine } as const;
  const made = await UserspaceBackend.open({ clock, log: silentLogger, exec }, options);
  const everything = { complete: false, ports: new Set<string>() };
  await made.apply(view, everything, new Map(), new AbortController().signal);
  return made;
}

/** A service at VIP, and a slice of endpoints behind it. */
export const web = (port: number, more = {}) =>
  service('shop/web', { clusterIP: VIP, ports: [{ name: 'main', port }], ...more });
export const behind = (port: number, ...ips: readonly string[]) =>
  slice('shop/web-1', 'web', { ports: { main: port }, endpoints: ips.map((ip) => ({ ip })) });

/** A server at POD that forgets no socket. */
export async function listen(
  onSocket: (socket: Socket) => void,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, POD, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** How a connection ended: `end`, or the code of its error. */
export function closed(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let how = 'end';
    socket.on('error', (error: NodeJS.ErrnoException) => (how = error.code ?? 'error'));
    socket.on('close', () => resolve(how));
    socket.resume();
  });
}

export const relayLimits: RelayLimits = {
  tcpSessionsMax: 100,
  udpSessionsMax: 1,
  tcpIdleSeconds: 60,
  tcpHalfClosedIdleSeconds: 60,
  udpIdleSeconds: 60,
  affinityClientsMax: 100,
  dialDeadlinesMs: [2_000],
};

/** A service port with one endpoint, as a node's view has it. */
export const servicePortView = (key: string, address: string, port: number): ServicePortView => ({
  key,
  namespace: 'shop',
  name: 'web',
  portName: '',
  protocol: 'TCP',
  clusterIP: VIP,
  port: 80,
  nodePort: 0,
  externalIPs: [],
  loadBalancerIPs: [],
  sourceRanges: [],
  internalLocal: false,
  externalLocal: false,
  affinitySeconds: 0,
  healthCheckNodePort: 0,
  clusterEndpoints: [{ address, port, maybeLocal: true }],
  localEndpoints: [],
  anyEndpoints: true,
  readyLocalCount: 0,
  triggerTimeMs: 0,
  proxyProtocol: undefined,
});
