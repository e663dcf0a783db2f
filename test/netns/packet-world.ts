import type { EndpointSlice } from '../../src/api/kinds/endpoint-slice.ts';
import { kubeAddress } from '../../endpoints/address.ts';
import { cidrContains, hostCidr, parseCidr } from '../../src/net/cidr.ts';
import { splitHostPort } from '../../src/net/ip.ts';
import { packetOf, type CaseGroup } from '../suites/backend.ts';
import { NetworkNamespace } from '../support/network-namespace.ts';
import { Listener } from './probe.ts';

/** The node's address on every link: who is masqueraded comes from here, whatever else the node is called. */
const GATEWAY = { IPv4: '192.168.255.1', IPv6: 'fd00:ffff::1' } as const;

export interface MorePlaces {
  readonly clients?: readonly string[];
  /** Ranges of clients that share one place. */
  readonly crowds?: readonly string[];
  /** `ip:port/proto` where somebody listens when no proxy takes the packet. */
  readonly destinations?: readonly string[];
}

/**
 * The world of a group of cases as network namespaces: the node that is looked at, and one for each other
 * address (pods here and elsewhere, clients outside), each behind a link of its own. What the node sends on
 * untouched ends in one more, the rest of the world. Every endpoint of the group listens, and so does every
 * destination of the group's packets: wherever a packet ends, somebody says so.
 */
export class PacketWorld implements AsyncDisposable {
  readonly node = new NetworkNamespace();
  readonly #rest = new NetworkNamespace();
  readonly #places = new Map<string, NetworkNamespace>();
  readonly #listeners = new Map<string, Listener>();
  readonly #nodeAddresses: ReadonlySet<string>;
  /** For `ip` on the node, and what then happens in the namespaces. */
  readonly #lines: string[] = [];
  readonly #inside: (() => void)[] = [];

  private constructor(group: CaseGroup) {
    this.#nodeAddresses = new Set(group.node.ips.map(canonical));
  }

  static async open(group: CaseGroup, more: MorePlaces = {}): Promise<PacketWorld> {
    const world = new PacketWorld(group);
    const interfaces = new Map(group.cases.map(({ from }) => [canonical(from.ip), from.iface]));
    const clients = group.cases.filter(({ from }) => from.kind !== 'node').map(({ from }) => from.ip);
    const endpoints = endpointsOf(group);
    clients.push(...(more.clients ?? []));
    for (const address of new Set([...clients, ...endpoints.map((each) => each.address)].map(canonical)))
      if (!world.#isNode(address)) world.#addPlace(address, interfaces.get(address));
    for (const cidr of more.crowds ?? []) world.#addCrowd(cidr);
    world.#connect();
    for (const { address, port, protocol } of endpoints)
      if (protocol !== 'SCTP') await world.#listen(address, port, protocol === 'UDP' ? 'udp' : 'tcp');
    // on the node itself a listener is in nobody's way only where no proxy listens
    const passing = group.cases.filter(
      ({ expect, overrides }) => expect.verdict === 'pass' || overrides?.nftables?.verdict === 'pass',
    );
    const wanted = group.cases
      .map((each) => ({ to: each.to, always: passing.includes(each) }))
      .concat((more.destinations ?? []).map((to) => ({ to, always: true })))
      .map(({ to, always }) => ({ ...packetOf('', to), always }))
      .filter(({ destinationAddress, always }) => always || !world.#isNode(destinationAddress));
    world.#claim(wanted.map(({ destinationAddress }) => destinationAddress));
    for (const { destinationAddress, destinationPort, protocol } of wanted)
      if (protocol !== 'sctp') await world.#listen(destinationAddress, destinationPort, protocol);
    return world;
  }

  /** Where a packet with this source is sent from. */
  namespaceOf(address: string): NetworkNamespace {
    const place = this.#places.get(canonical(address));
    if (place) return place;
    for (const [cidr, crowd] of this.#places)
      if (cidr.includes('/') && cidrContains(parseCidr(cidr)!, address)) return crowd;
    return this.node;
  }

  isGateway(address: string): boolean {
    return address === GATEWAY.IPv4 || address === GATEWAY.IPv6;
  }

  /** `ip:port` is the node's own. */
  isOnNode(place: string): boolean {
    return this.#isNode(splitHostPort(place)?.host ?? '');
  }

  /** A node may carry more addresses than its Node object says, as when a VIP is bound on it. */
  borrowAddress(address: string): Disposable {
    const foreign = !this.#places.has(canonical(address)) && !this.#isNode(address);
    const change = (verb: 'add' | 'del'): void => this.node.ip([`addr ${verb} ${hostCidr(address)} dev lo`]);
    if (foreign) change('add');
    return { [Symbol.dispose]: () => void (foreign && change('del')) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners.values()) await listener[Symbol.asyncDispose]();
    for (const namespace of this.#places.values()) namespace[Symbol.dispose]();
    this.#rest[Symbol.dispose]();
    this.node[Symbol.dispose]();
  }

  #isNode(address: string): boolean {
    return this.#nodeAddresses.has(canonical(address)) || address.startsWith('127.') || address === '::1';
  }

  #addPlace(address: string, nodeInterface = `p${this.#places.size}`): void {
    const namespace = new NetworkNamespace();
    const isBridge = nodeInterface.startsWith('br');
    const port = isBridge ? `p${this.#places.size}` : nodeInterface;
    this.#link(namespace, port, [`addr add ${hostCidr(address)} dev eth0${nodad(address)}`]);
    if (isBridge) {
      this.#lines.push(
        `link add ${nodeInterface} type bridge`,
        `addr add ${GATEWAY.IPv4}/32 dev ${nodeInterface}`,
        `link set ${nodeInterface} up`,
        `link set ${port} master ${nodeInterface}`,
      );
    }
    this.#lines.push(`route add ${hostCidr(address)} dev ${nodeInterface}`);
    this.#places.set(address, namespace);
  }

  /** Many clients in one place: `namespaceOf` knows them by the range. */
  #addCrowd(cidr: string): void {
    const namespace = new NetworkNamespace();
    const name = `crowd${this.#places.size}`;
    this.#link(namespace, name, [`route add local ${cidr} dev lo`]);
    this.#lines.push(`route add ${cidr} dev ${name}`);
    this.#places.set(cidr, namespace);
  }

  /** A link between the node and a namespace, where it is called eth0 and leads everywhere. */
  #link(namespace: NetworkNamespace, name: string, lines: readonly string[]): void {
    namespace.sysctl('ipv6.conf.default.accept_dad', 0);
    this.#lines.push(
      `link add ${name} type veth peer name eth0 netns ${namespace.path}`,
      `addr add ${GATEWAY.IPv4}/32 dev ${name}`,
      `addr add ${GATEWAY.IPv6}/128 dev ${name} nodad`,
      `link set ${name} up`,
    );
    this.#inside.push(() =>
      namespace.ip([
        'link set lo up',
        'link set eth0 up',
        `route add ${GATEWAY.IPv4} dev eth0`,
        `route add default via ${GATEWAY.IPv4} dev eth0`,
        `route add ${GATEWAY.IPv6}/128 dev eth0`,
        `route add ::/0 via ${GATEWAY.IPv6} dev eth0`,
        ...lines,
      ]),
    );
  }

  /** Makes all links: one run of `ip` on the node and one in each namespace. */
  #connect(): void {
    for (const name of ['ipv4.ip_forward', 'ipv6.conf.all.forwarding']) this.node.sysctl(name, 1);
    for (const name of ['all', 'default']) this.node.sysctl(`ipv4.conf.${name}.rp_filter`, 0);
    // refusals are answers that tests wait for
    for (const name of ['ipv4.icmp_ratelimit', 'ipv6.icmp.ratelimit']) this.node.sysctl(name, 0);
    this.node.sysctl('ipv6.conf.default.accept_dad', 0);
    this.#link(this.#rest, 'up0', []);
    this.node.ip([
      'link set lo up',
      ...Array.from(this.#nodeAddresses, (address) => `addr add ${hostCidr(address)} dev lo`),
      ...this.#lines,
      // what is claimed there answers on the link
      'route add default dev up0',
      'route add ::/0 dev up0',
    ]);
    for (const work of this.#inside) work();
  }

  async #listen(address: string, port: number, protocol: 'tcp' | 'udp'): Promise<void> {
    const id = `${canonical(address)} ${port} ${protocol}`;
    if (this.#listeners.has(id)) return;
    const namespace =
      this.#places.get(canonical(address)) ?? (this.#isNode(address) ? this.node : this.#rest);
    this.#listeners.set(id, await Listener.open(namespace, address, port, protocol));
  }

  /** What is nobody else's is the rest of the world's. */
  #claim(addresses: readonly string[]): void {
    const free = addresses.map(canonical).filter((each) => !this.#places.has(each) && !this.#isNode(each));
    this.#rest.ip(Array.from(new Set(free), (each) => `addr add ${hostCidr(each)} dev eth0${nodad(each)}`));
  }
}

function canonical(text: string): string {
  return kubeAddress(text)?.text ?? text;
}

/** An address that must answer at once. */
function nodad(address: string): string {
  return address.includes(':') ? ' nodad' : '';
}

function endpointsOf(group: CaseGroup): { address: string; port: number; protocol: string }[] {
  const slices = group.objects.filter(({ kind }) => kind === 'EndpointSlice') as EndpointSlice[];
  return slices.flatMap(({ endpoints, ports }) =>
    (endpoints ?? []).flatMap(({ addresses }) =>
      addresses.slice(0, 1).flatMap((address) => {
        const known = kubeAddress(address)?.text;
        if (known === undefined || known.startsWith('127.')) return [];
        return (ports ?? []).flatMap(({ port, protocol }) =>
          port ? [{ address: known, port, protocol: protocol ?? 'TCP' }] : [],
        );
      }),
    ),
  );
}
