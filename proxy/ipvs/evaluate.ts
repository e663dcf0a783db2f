import type { NodeSettings } from '../../endpoints/node-view.ts';
import { cidrContains, parseCidr } from '../../src/net/cidr.ts';
import { splitHostPort } from '../../src/net/ip.ts';
import { serverKey } from '../../src/net/ipvs.ts';
import type { Packet, Verdict } from '../backend.ts';
import { type CompiledTables, isNodeAddress, passThrough } from '../iptables/evaluate.ts';
import { FIELD } from './compile.ts';
import { SET_TYPES, setKindOf, type SetKind } from './names.ts';
import { ipvsJumps, type IpvsRuleOptions, ipvsTables } from './rules.ts';
import type { Ruleset } from './ruleset.ts';

/** The compiled rules of one family: the constant chains, the sets, the virtual servers, the bound addresses. */
interface CompiledIpvs {
  readonly tables: CompiledTables;
  readonly ruleset: Ruleset;
}

export function compiledIpvs(options: IpvsRuleOptions, ruleset: Ruleset): CompiledIpvs {
  const { node } = options;
  const isLocal = (address: string): boolean =>
    isNodeAddress(node, address) || ruleset.addresses.has(address);
  const inSet: CompiledTables['inSet'] = (name, sides, packet) => {
    const kind = setKindOf(name, node.family);
    if (!kind) throw new Error(`no set ${name}`);
    return setHolds(ruleset, node, kind, sides, packet);
  };
  return { ruleset, tables: { node, tables: ipvsTables(options), jumps: ipvsJumps(), inSet, isLocal } };
}

/**
 * Where the first packet of a connection ends. IPVS takes packets of this host in the output path and others on
 * their way in, when their destination is one of this node's addresses.
 */
export function evaluate({ tables, ruleset }: CompiledIpvs, packet: Packet): Verdict {
  const own = tables.isLocal(packet.sourceAddress);
  if (own && passThrough(tables, packet, 'mangle', 'OUTPUT').end === 'drop') return ended('drop');
  const { marked } = passThrough(tables, packet, 'nat', own ? 'OUTPUT' : 'PREROUTING');
  const here = tables.isLocal(packet.destinationAddress);
  if (own) return atServer(ruleset, packet, marked) ?? delivered(tables, packet, here);
  const { end } = passThrough(tables, packet, 'filter', here ? 'INPUT' : 'FORWARD');
  if (end !== 'go') return ended(end);
  return (here ? atServer(ruleset, packet, marked) : undefined) ?? ended('pass');
}

/** A packet of this host that met no virtual server. */
function delivered(tables: CompiledTables, packet: Packet, here: boolean): Verdict {
  const output = passThrough(tables, packet, 'filter', 'OUTPUT').end;
  const end = output === 'go' && here ? passThrough(tables, packet, 'filter', 'INPUT').end : output;
  return ended(end === 'go' ? 'pass' : end);
}

function atServer(ruleset: Ruleset, packet: Packet, marked: boolean): Verdict | undefined {
  const server = ruleset.server(
    serverKey(packet.protocol, packet.destinationAddress, packet.destinationPort),
  );
  if (!server) return undefined;
  if (server.reals.length === 0) return ended('reject');
  const backends = [...server.reals].sort();
  const itself = backends.filter((real) => loopsBack(ruleset, packet, real));
  const masquerade = marked || itself.length === backends.length;
  return {
    verdict: 'dnat',
    backends,
    masquerade,
    hairpin: masquerade ? [] : itself,
    affinity: server.persistSeconds > 0 ? 'ClientIP' : null,
  };
}

function loopsBack(ruleset: Ruleset, { sourceAddress, protocol }: Packet, real: string): boolean {
  const { host = '', port = 0 } = splitHostPort(real) ?? {};
  return ruleset.entries.has(`LOOP-BACK${FIELD}${host},${protocol}:${port},${sourceAddress}`);
}

function setHolds(
  ruleset: Ruleset,
  node: NodeSettings,
  kind: SetKind,
  sides: readonly ('src' | 'dst')[],
  packet: Packet,
): boolean {
  const address = (side: 'src' | 'dst' | undefined): string =>
    side === 'src' ? packet.sourceAddress : packet.destinationAddress;
  const holds = (entry: string): boolean => ruleset.entries.has(`${kind}${FIELD}${entry}`);
  const place = `${address(sides[0])},${packet.protocol}:${packet.destinationPort}`;
  switch (SET_TYPES[kind]) {
    case 'bitmap:port':
      return holds(String(packet.destinationPort));
    case 'hash:ip':
      return holds(address(sides[0]));
    case 'hash:ip,port':
      return holds(place);
    case 'hash:ip,port,ip':
      return holds(`${place},${address(sides[2])}`);
    case 'hash:ip,port,net':
      return networksAt(ruleset, `${kind}${FIELD}${place},`).some((text) => {
        const cidr = parseCidr(text);
        return cidr?.family === node.family && cidrContains(cidr, address(sides[2]));
      });
  }
}

function networksAt(ruleset: Ruleset, prefix: string): string[] {
  return [...ruleset.entries.keys]
    .filter((entry) => entry.startsWith(prefix))
    .map((entry) => entry.slice(prefix.length));
}

function ended(verdict: 'reject' | 'drop' | 'pass'): Verdict {
  return { verdict, backends: [], masquerade: false, hairpin: [], affinity: null };
}
