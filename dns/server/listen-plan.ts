import { networkInterfaces } from 'node:os';
import { Fault } from '../../src/base/fault.ts';
import { canonicalAddress, familyOf } from '../../src/net/ip.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { BlockPlan } from '../corefile/compile.ts';
import type { Bind, BlockSettings, ServerKey, TransportSettings } from '../block-settings.ts';

export interface ListenSpec {
  /** Query.listener: `dns://:53`, `tls://10.0.0.1:853`. */
  readonly label: string;
  readonly scheme: ServerKey['scheme'];
  /** Undefined = every address of the host. */
  readonly address: string | undefined;
  readonly port: number;
  readonly tls: BlockSettings['tls'];
  readonly transport: Readonly<TransportSettings>;
  readonly entries: readonly { readonly zone: string; readonly planIndex: number }[];
}

/**
 * Which addresses to listen on and which zones each serves. Blocks of the same scheme, address and port share a
 * listener. Throws Fault BIND_UNKNOWN for a name that is neither address nor interface.
 */
export function listenSpecs(plans: readonly BlockPlan[], defaultBind: readonly string[]): ListenSpec[] {
  const specs = new Map<string, ListenSpec & { entries: { zone: string; planIndex: number }[] }>();
  plans.forEach(({ settings }, planIndex) => {
    const binds = settings.bind.length > 0 ? settings.bind.flatMap(boundAddresses) : defaultBind;
    for (const { zone, scheme, port } of settings.keys) {
      for (const address of binds.length > 0 ? binds : [undefined]) {
        const label = `${scheme}://${address === undefined ? `:${port}` : joinHostPort(address, port)}`;
        const before = specs.get(label);
        const tls = before?.tls ?? settings.tls;
        const transport = merged(before?.transport, settings.transport);
        const spec = { label, scheme, address, port, tls, transport, entries: before?.entries ?? [] };
        specs.set(label, spec);
        spec.entries.push({ zone, planIndex });
      }
    }
  });
  return [...specs.values()];
}

/** What an earlier block says counts. */
function merged(
  first: Readonly<TransportSettings> | undefined,
  second: TransportSettings,
): TransportSettings {
  const said = Object.entries(first ?? {}).filter(([, value]) => value !== undefined);
  return { ...second, ...Object.fromEntries(said) };
}

/** The addresses of one `bind`. */
function boundAddresses({ hosts, except }: Bind): string[] {
  const left = new Set(except.flatMap(addressesOf));
  const addresses = [...new Set(hosts.flatMap(addressesOf))].filter((address) => !left.has(address));
  if (addresses.length > 0) return addresses;
  throw new Fault('BIND_UNKNOWN', `bind: nothing is left of ${hosts.join(' ')} without ${except.join(' ')}`);
}

function addressesOf(text: string): string[] {
  const address = canonicalAddress(text);
  if (address) return [address];
  if (isLinkLocal(text) && canonicalAddress(text.replace(/%.*/, ''))) return [text];
  const found = networkInterfaces()[text];
  if (!found) throw new Fault('BIND_UNKNOWN', `bind: ${text} is neither an address nor an interface`);
  // A link-local address is one only together with its interface (RFC 4007 section 11).
  return found.map((entry) => (isLinkLocal(entry.address) ? `${entry.address}%${text}` : entry.address));
}

function isLinkLocal(address: string): boolean {
  return address.startsWith('fe80:');
}

/** Addresses of this host that others can reach: no loopback, no link-local. */
export function hostAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ internal, address }) => !internal && !isLinkLocal(address) && familyOf(address))
    .map(({ address }) => address);
}
