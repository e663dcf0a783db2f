import { Fault } from '../../base/fault.ts';
import { MessageWriter, NLM_F } from './message.ts';
import type { NetlinkSocket } from './socket.ts';

/** Messages of one request: should all be refused, what the kernel says of each must fit the receive buffer. */
const MESSAGES_PER_REQUEST = 1_024;

export interface EachOptions<T> {
  /** Writes one message for one item; gives its sequence number. */
  readonly write: (out: MessageWriter, item: T, flags: number) => number;
  /** What a fault calls the item. */
  readonly about: (item: T) => string;
  /** Errnos that are no fault. */
  readonly tolerated?: readonly string[];
}

/**
 * One message an item, in order, many to a datagram. The kernel goes on after one that it refuses: when this rejects
 * with the Fault of the first (its errno as code), the others may have been taken.
 */
export async function sendEach<T>(
  socket: NetlinkSocket,
  items: readonly T[],
  { write, about, tolerated = [] }: EachOptions<T>,
): Promise<void> {
  for (let from = 0; from < items.length; from += MESSAGES_PER_REQUEST) {
    const some = items.slice(from, from + MESSAGES_PER_REQUEST);
    const out = new MessageWriter();
    let last = 0;
    // errors come unasked; of those that went well the last one's acknowledgement is enough
    for (const [i, item] of some.entries()) last = write(out, item, i === some.length - 1 ? NLM_F.ACK : 0);
    const name = (sequence: number): string => {
      const item = some[sequence - 1];
      return item === undefined ? `message ${sequence}` : about(item);
    };
    const { acknowledged } = await socket.request(out.take(), { about: name, tolerated });
    if (!acknowledged.has(last)) throw new Fault('NETLINK', 'the kernel did not confirm a request');
  }
}
