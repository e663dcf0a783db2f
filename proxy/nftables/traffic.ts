import type { NodeView } from '../../endpoints/node-view.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { keyText, type NftElements } from '../../src/net/netlink/nft-elements.ts';
import type { PortCounts } from '../backend.ts';
import { COUNTED_PORTS_MAX, METRIC_PORTS_MAX } from '../limits.ts';
import { TrafficLedger } from '../kernel/traffic-ledger.ts';
import type { Elements } from './elements.ts';
import { FIELD } from './elements.ts';
import { encodeKey } from './encode.ts';
import type { Ruleset } from './ruleset.ts';

/** A large cluster does not count: the kernel keeps a counter an element and CPU. */
export function countsTraffic({ ports }: NodeView): boolean {
  return ports.size <= COUNTED_PORTS_MAX;
}

/** What meets an element of these maps is a connection of the port, or one that is turned away. */
const COUNTS: Readonly<Record<string, 'connections' | 'refused'>> = {
  'service-verdicts': 'connections',
  'local-service-verdicts': 'connections',
  'nodeport-verdicts': 'connections',
  'local-nodeport-verdicts': 'connections',
  'no-endpoint-services': 'refused',
  'no-endpoint-nodeports': 'refused',
};

interface Carrier {
  readonly set: string;
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly port: string;
  readonly endpoint: string | undefined;
}

/** Connections by service port and endpoint, read from the elements of the ports that metrics publish one by one. */
export class TableTraffic {
  readonly #ledger = new TrafficLedger();

  async read(elements: NftElements, ruleset: Ruleset): Promise<readonly PortCounts[]> {
    this.#ledger.begin();
    for (const [set, carriers] of carriersOf(ruleset)) {
      const packets = await elements.packets(
        set,
        carriers.map(({ bytes }) => bytes),
      );
      for (const { id, bytes, port, endpoint } of carriers) {
        const count = packets.get(keyText(bytes));
        if (count !== undefined)
          this.#ledger.note(id, port, endpoint, { [COUNTS[set] ?? 'connections']: count });
      }
    }
    return this.#ledger.take();
  }
}

function carriersOf(ruleset: Ruleset): ReadonlyMap<string, readonly Carrier[]> {
  const bySet = new Map<string, Carrier[]>();
  let ports = 0;
  for (const [port, elements] of ruleset.elementsByPort()) {
    if (++ports > METRIC_PORTS_MAX) break;
    for (const carrier of carriersOfPort(port, elements)) {
      const list = bySet.get(carrier.set);
      if (list) list.push(carrier);
      else bySet.set(carrier.set, [carrier]);
    }
  }
  return bySet;
}

function* carriersOfPort(port: string, elements: Elements): Generator<Carrier> {
  for (const [element, value] of elements) {
    const cut = element.indexOf(FIELD);
    const set = element.slice(0, cut);
    if (set !== 'endpoints' && COUNTS[set] === undefined) continue;
    const endpoint = set === 'endpoints' ? endpointOf(value) : undefined;
    // an element that leads elsewhere now is another one
    yield { set, id: `${element}|${value}`, bytes: encodeKey(set, element.slice(cut + 1)), port, endpoint };
  }
}

/** `address . port`. */
function endpointOf(value: string): string {
  const [address = '', port = ''] = value.split(' . ');
  return joinHostPort(address, Number(port));
}
