import type { Cidr } from '../../../src/net/cidr.ts';
import type { Family } from '../../../src/net/ip.ts';

/** The part of BGP-4 (RFC 4271) that a speaker needs who only announces its own prefixes. */
export type BgpMessage =
  | OpenMessage
  | UpdateMessage
  | NotificationMessage
  | { readonly type: 'keepalive' }
  | { readonly type: 'route-refresh'; readonly family: Family | undefined };

export interface OpenMessage {
  readonly type: 'open';
  /** Of the capability for four bytes (RFC 6793) when the peer has it. */
  readonly autonomousSystem: number;
  readonly holdSeconds: number;
  /** Four bytes, written as an IPv4 address. */
  readonly routerId: string;
  readonly capabilities: Capabilities;
}

export interface Capabilities {
  readonly families: readonly Family[];
  readonly fourByteAs: boolean;
  readonly routeRefresh: boolean;
  readonly gracefulRestart: GracefulRestart | undefined;
}

/** RFC 4724 section 3. */
export interface GracefulRestart {
  /** The sender has just restarted. */
  readonly restarted: boolean;
  readonly seconds: number;
  /** Families whose packets were forwarded all the while. */
  readonly forwarding: readonly Family[];
}

export interface UpdateMessage {
  readonly type: 'update';
  readonly withdrawn: readonly Cidr[];
  readonly announced: readonly Cidr[];
  /** Of the announced; undefined when only withdrawn. */
  readonly path: PathAttributes | undefined;
  /** End-of-RIB of a family (RFC 4724 section 2). */
  readonly endOf: Family | undefined;
}

export interface PathAttributes {
  readonly asPath: readonly number[];
  readonly nextHop: string;
  /** Only between speakers of one autonomous system. */
  readonly localPreference: number | undefined;
  /** `65000:100` of RFC 1997. */
  readonly communities: readonly string[];
}

export interface NotificationMessage {
  readonly type: 'notification';
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** RFC 4271 section 4.5. */
export const ERROR = {
  header: 1,
  open: 2,
  update: 3,
  holdTimer: 4,
  stateMachine: 5,
  cease: 6,
} as const;

const ERROR_NAMES: Readonly<Record<number, string>> = {
  1: 'message header error',
  2: 'OPEN message error',
  3: 'UPDATE message error',
  4: 'hold timer expired',
  5: 'finite state machine error',
  6: 'cease',
};

const SUBCODE_NAMES: Readonly<Record<string, string>> = {
  '2/1': 'unsupported version number',
  '2/2': 'bad peer AS',
  '2/3': 'bad BGP identifier',
  '2/4': 'unsupported optional parameter',
  '2/6': 'unacceptable hold time',
  '2/7': 'unsupported capability',
  '6/1': 'maximum number of prefixes reached',
  '6/2': 'administrative shutdown',
  '6/3': 'peer de-configured',
  '6/4': 'administrative reset',
  '6/5': 'connection rejected',
  '6/6': 'other configuration change',
  '6/7': 'connection collision resolution',
};

/** A NOTIFICATION in words. */
export function notificationText({ code, subcode }: Pick<NotificationMessage, 'code' | 'subcode'>): string {
  const detail = SUBCODE_NAMES[`${code}/${subcode}`] ?? (subcode === 0 ? undefined : `subcode ${subcode}`);
  return [ERROR_NAMES[code] ?? `error ${code}`, ...(detail === undefined ? [] : [detail])].join(': ');
}

/** Takes the place of an autonomous system of four bytes where only two fit (RFC 6793). */
export const AS_TRANS = 23_456;
export const MARKER_BYTES = 16;
export const HEADER_BYTES = 19;
export const TYPE = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const;
export const CAPABILITY = {
  multiprotocol: 1,
  routeRefresh: 2,
  gracefulRestart: 64,
  fourByteAs: 65,
} as const;
export const ATTRIBUTE = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  localPreference: 5,
  communities: 8,
  reach: 14,
  unreach: 15,
} as const;
/** Address family identifiers of IANA. */
export const AFI: Readonly<Record<Family, number>> = { IPv4: 1, IPv6: 2 };
export const SAFI_UNICAST = 1;
