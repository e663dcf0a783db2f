import { Fault } from '../base/fault.ts';
import type { Exec } from './exec.ts';
import { joinHostPort } from './ip.ts';

export type IpvsProtocol = 'tcp' | 'udp' | 'sctp';

/** Loading tens of thousands of real servers takes seconds. */
const IPVS_TIMEOUT_MS = 120_000;

/** `tcp 10.0.0.1:80`: names a virtual server. */
export type ServerKey = `${IpvsProtocol} ${string}`;

export interface IpvsServer {
  readonly scheduler: string;
  /** Seconds a client keeps its real server; 0 = no persistence. */
  readonly persistSeconds: number;
  /** Flags of the scheduler (`mh-port`). */
  readonly flags: string;
}

/** A virtual server as the kernel holds it: the weights of its real servers by `ip:port`. */
export interface HeldServer {
  readonly server: IpvsServer;
  readonly weights: ReadonlyMap<string, number>;
}

export function serverKey(protocol: IpvsProtocol, address: string, port: number): ServerKey {
  return `${protocol} ${joinHostPort(address, port)}`;
}

const OPTION: Readonly<Record<IpvsProtocol, string>> = { tcp: '-t', udp: '-u', sctp: '--sctp-service' };

function place(key: ServerKey): string {
  const [protocol = '', address = ''] = key.split(' ');
  return `${OPTION[protocol as IpvsProtocol]} ${address}`;
}

/** Lines for `ipvsadm --restore`. */
export const ipvsLine = {
  addServer: (key: ServerKey, server: IpvsServer): string => `-A ${place(key)} ${serverOptions(server)}`,
  editServer: (key: ServerKey, server: IpvsServer): string => `-E ${place(key)} ${serverOptions(server)}`,
  deleteServer: (key: ServerKey): string => `-D ${place(key)}`,
  addReal: (key: ServerKey, real: string): string => `-a ${place(key)} -r ${real} -m -w 1`,
  editReal: (key: ServerKey, real: string, weight: number): string =>
    `-e ${place(key)} -r ${real} -m -w ${weight}`,
  deleteReal: (key: ServerKey, real: string): string => `-d ${place(key)} -r ${real}`,
} as const;

function serverOptions({ scheduler, persistSeconds, flags }: IpvsServer): string {
  const persistence = persistSeconds > 0 ? ` -p ${persistSeconds}` : '';
  return `-s ${scheduler}${persistence}${flags === '' ? '' : ` -b ${flags}`}`;
}

/**
 * Runs ipvsadm. Faults: IPVS_UNAVAILABLE (the kernel has no IPVS, or not this scheduler), IPVS_FAILED, and those
 * of exec (EXEC_NOT_FOUND when it is not installed).
 */
export class Ipvs {
  readonly #exec: Exec;

  constructor(deps: { exec: Exec }) {
    this.#exec = deps.exec;
  }

  async restore(lines: readonly string[], signal?: AbortSignal): Promise<void> {
    if (lines.length > 0) await this.#run(['--restore'], signal, `${lines.join('\n')}\n`);
  }

  /** What the kernel holds, both families. */
  async held(signal?: AbortSignal): Promise<ReadonlyMap<ServerKey, HeldServer>> {
    return parseSaved(await this.#run(['--save', '-n'], signal));
  }

  /** Connections (active and closing) by real server, of one virtual server. */
  async connections(key: ServerKey, signal?: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const line of (await this.#run(['-L', '-n', ...place(key).split(' ')], signal)).split('\n')) {
      const found = /^\s*->\s+(\S+)\s+\S+\s+\d+\s+(\d+)\s+(\d+)\s*$/.exec(line);
      if (found) counts.set(found[1]!, Number(found[2]) + Number(found[3]));
    }
    return counts;
  }

  /** What each real server has carried since it was added, by virtual server. */
  async traffic(signal?: AbortSignal): Promise<readonly RealTraffic[]> {
    return parseTraffic(await this.#run(['-L', '-n', '--stats', '--exact'], signal));
  }

  /** Seconds; 0 leaves the kernel's value. */
  async setTimeouts(tcp: number, tcpFin: number, udp: number, signal?: AbortSignal): Promise<void> {
    await this.#run(['--set', String(tcp), String(tcpFin), String(udp)], signal);
  }

  async #run(args: readonly string[], signal: AbortSignal | undefined, input = ''): Promise<string> {
    const options = { input, timeoutMs: IPVS_TIMEOUT_MS, ...(signal && { signal }) };
    const result = await this.#exec('ipvsadm', args, options);
    const message = result.stderr.trim();
    if (result.exitCode === 0 && message === '') return result.stdout;
    if (/initialize ipvs/i.test(message))
      throw new Fault('IPVS_UNAVAILABLE', 'this kernel has no IPVS: modprobe ip_vs, or use another mode');
    const code = /scheduler/i.test(message) ? 'IPVS_UNAVAILABLE' : 'IPVS_FAILED';
    throw new Fault(code, `ipvsadm ${args.join(' ')}: ${message.slice(0, 500)}`);
  }
}

export interface RealTraffic {
  readonly server: ServerKey;
  /** `ip:port`. */
  readonly real: string;
  readonly connections: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Lines of `ipvsadm -L -n --stats --exact`: address, connections, packets in and out, bytes in and out. */
export function parseTraffic(text: string): RealTraffic[] {
  const found: RealTraffic[] = [];
  let server: ServerKey | undefined;
  for (const line of text.split('\n')) {
    const [first = '', address = '', connections, , , bytesIn, bytesOut] = line.trim().split(/\s+/);
    if (/^(TCP|UDP|SCTP)$/.test(first)) server = `${first.toLowerCase() as IpvsProtocol} ${address}`;
    if (first !== '->' || server === undefined || !/^\d+$/.test(bytesOut ?? '')) continue;
    const [carried, received, sent] = [connections, bytesIn, bytesOut].map(Number);
    found.push({
      server,
      real: address,
      connections: carried ?? 0,
      bytesIn: received ?? 0,
      bytesOut: sent ?? 0,
    });
  }
  return found;
}

const PROTOCOL: Readonly<Record<string, IpvsProtocol>> = {
  '-t': 'tcp',
  '-u': 'udp',
  '--sctp-service': 'sctp',
};

/** The output of `ipvsadm --save -n`. */
export function parseSaved(text: string): Map<ServerKey, HeldServer> {
  const servers = new Map<ServerKey, { server: IpvsServer; weights: Map<string, number> }>();
  for (const line of text.split('\n')) {
    const [verb = '', option = '', address = '', ...rest] = line.trim().split(/\s+/);
    const protocol = PROTOCOL[option];
    if (!protocol) continue;
    const key: ServerKey = `${protocol} ${address}`;
    const value = (name: string): string | undefined => rest[rest.indexOf(name) + 1];
    const has = (name: string): boolean => rest.includes(name);
    if (verb === '-A') {
      const server = {
        scheduler: (has('-s') && value('-s')) || '',
        persistSeconds: has('-p') ? Number(value('-p')) : 0,
        flags: (has('-b') && value('-b')) || '',
      };
      servers.set(key, { server, weights: new Map() });
    } else if (verb === '-a' && has('-r')) {
      servers.get(key)?.weights.set(value('-r')!, has('-w') ? Number(value('-w')) : 1);
    }
  }
  return servers;
}
