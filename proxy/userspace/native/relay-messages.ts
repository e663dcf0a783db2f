import type { NodeSettings, ServicePortView } from '../../../endpoints/node-view.ts';
import type { Family } from '../../../src/net/ip.ts';
import type { PortCounts } from '../../backend.ts';
import type { EntranceKind } from '../../packet/decide.ts';
import type { CaptureWay } from '../kernel-table.ts';
import type { ProxyProtocol } from '../proxy-protocol.ts';
import type { RelayLimits } from '../relay-context.ts';

/** Words that a relaying thread and its owner share: how many connections it has. */
export const CONTROL = { ACTIVE: 0, WORDS: 1 } as const;

/** What a relaying thread is born with. */
export interface RelayData {
  readonly control: Int32Array<SharedArrayBuffer>;
  /** Datagrams that the kernel refused to send: one number. */
  readonly sendErrors: Float64Array<SharedArrayBuffer>;
  readonly limits: RelayLimits;
  readonly proxyProtocol: ProxyProtocol | undefined;
}

/** What a client may come by. Its socket is closed by the owner, once the thread has let go of it. */
export type RelayDoor =
  /** A listener, or a UDP socket, of a service port. */
  | { readonly kind: 'listener'; readonly fd: number; readonly key: string; readonly entrance: EntranceKind }
  | { readonly kind: 'datagrams'; readonly fd: number; readonly key: string; readonly entrance: EntranceKind }
  /** The listener that the kernel brings clients of all captured destinations to. */
  | { readonly kind: 'catcher'; readonly fd: number; readonly family: Family; readonly way: CaptureWay }
  /** A destination (`ip:port`) of clients that the catcher gets. */
  | {
      readonly kind: 'captured';
      readonly destination: string;
      readonly key: string;
      readonly entrance: EntranceKind;
    };

/** What the owner tells the thread. `ask`: answered under that number. */
export type RelayOrder = { readonly ask?: number } & (
  | { readonly kind: 'follow'; readonly node: NodeSettings }
  | { readonly kind: 'serve'; readonly view: ServicePortView }
  | { readonly kind: 'forget'; readonly key: string }
  | { readonly kind: 'open'; readonly id: number; readonly door: RelayDoor }
  | { readonly kind: 'close'; readonly id: number }
  | { readonly kind: 'sweep' | 'settled' | 'counts' | 'empty' }
);

export type RelayReply =
  | { readonly kind: 'answer'; readonly ask: number; readonly counts?: readonly PortCounts[] }
  /** Clients cannot be taken in: errno, once until it works again. */
  | { readonly kind: 'accept failed'; readonly where: string; readonly errno: string };
