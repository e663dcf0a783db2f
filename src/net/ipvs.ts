import { Fault } from '../base/fault.ts';
import { joinHostPort, splitHostPort, type Transport } from './ip.ts';

/** `tcp 10.0.0.1:80`: names a virtual server. */
export type ServerKey = `${Transport} ${string}`;

export interface IpvsServer {
  readonly scheduler: string;
  /** Seconds a client keeps its real server; 0 = no persistence. */
  readonly persistSeconds: number;
  /** Flags of the scheduler as ipvsadm calls them (`mh-port`), comma-separated. */
  readonly flags: string;
}

/** A virtual server as the kernel holds it: the weights of its real servers by `ip:port`. */
export interface HeldServer {
  readonly server: IpvsServer;
  readonly weights: ReadonlyMap<string, number>;
}

/** One change of the kernel's virtual servers; a real server is `ip:port`. */
export type IpvsChange =
  | { readonly verb: 'add-server' | 'edit-server'; readonly key: ServerKey; readonly server: IpvsServer }
  | { readonly verb: 'delete-server'; readonly key: ServerKey }
  | {
      readonly verb: 'add-real' | 'edit-real';
      readonly key: ServerKey;
      readonly real: string;
      readonly weight: number;
    }
  | { readonly verb: 'delete-real'; readonly key: ServerKey; readonly real: string };

export function serverKey(protocol: Transport, address: string, port: number): ServerKey {
  return `${protocol} ${joinHostPort(address, port)}`;
}

/** What serverKey joined. */
export function serverPlace(key: ServerKey): { protocol: Transport; address: string; port: number } {
  const [protocol = '', rest = ''] = key.split(' ');
  const place = splitHostPort(rest);
  if (!place) throw new Fault('IPVS_FAILED', `no address in ${key}`);
  return { protocol: protocol as Transport, address: place.host, port: place.port };
}

const OPTION: Readonly<Record<Transport, string>> = { tcp: '-t', udp: '-u', sctp: '--sctp-service' };

/** The change as a line for `ipvsadm --restore`: for people, and to name what failed. */
export function ipvsLine(change: IpvsChange): string {
  const [protocol = '', address = ''] = change.key.split(' ');
  const place = `${OPTION[protocol as Transport]} ${address}`;
  switch (change.verb) {
    case 'add-server':
      return `-A ${place} ${serverOptions(change.server)}`;
    case 'edit-server':
      return `-E ${place} ${serverOptions(change.server)}`;
    case 'delete-server':
      return `-D ${place}`;
    case 'add-real':
      return `-a ${place} -r ${change.real} -m -w ${change.weight}`;
    case 'edit-real':
      return `-e ${place} -r ${change.real} -m -w ${change.weight}`;
    case 'delete-real':
      return `-d ${place} -r ${change.real}`;
  }
}

function serverOptions({ scheduler, persistSeconds, flags }: IpvsServer): string {
  const persistence = persistSeconds > 0 ? ` -p ${persistSeconds}` : '';
  return `-s ${scheduler}${persistence}${flags === '' ? '' : ` -b ${flags}`}`;
}
