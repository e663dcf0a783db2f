import { networkInterfaces } from 'node:os';
import { Fault } from '../../src/base/fault.ts';
import { canonicalAddress, familyOf } from '../../src/net/ip.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { BlockPlan } from '../corefile/compile.ts';
import type { BlockSettings, ServerKey } from '../plugin.ts';

export interface ListenSpec {
  /** Query.listener: `dns://:53`, `tls://10.0.0.1:853`. */
  readonly label: string;
  readonly scheme: ServerKey['scheme'];
  /** Undefined = every address of the host. */
  readonly address: string | undefined;
  readonly port: number;
  readonly tls: BlockSettings['tls'];
  readonly entries: readonly { readonly zone: string; readonly planIndex: number }[];
}

/**
 * Which addresses to listen on and which zones each serves. Blocks of the same scheme, address and port share a
 * listener. Throws Fault BIND_UNKNOWN for a name that is neither address nor interface.
 */
export function listenSpecs(plans: readonly BlockPlan[], defaultBind: readonly string[]): ListenSpec[] {
  const specs = new Map<string, ListenSpec & { entries: { zone: string; planIndex: number }[] }>();
  plans.forEach(({ settings }, planIndex) => {
    const binds = settings.bind.length > 0 ? settings.bind.flatMap(addressesOf) : defaultBind;
    for (const { zone, scheme, port } of settings.keys) {
      for (const address of binds.length > 0 ? binds : [undefined]) {
        const label = `${scheme}://${address === undefined ? `:${port}` : joinHostPort(address, port)}`;
        const spec = specs.get(label) ?? { label, scheme, address, port, tls: settings.tls, entries: [] };
        specs.set(label, spec);
        spec.entries.push({ zone, planIndex });
      }
    }
  });
  return [...specs.values()];
}

function addressesOf(text: string): string[] {
  const address = canonicalAddress(text);
  if (address) return [address];
  const found = networkInterfaces()[text];
  if (!found) throw new Fault('BIND_UNKNOWN', `bind: ${text} is neither an address nor an interface`);
  return found.map((entry) => entry.address);
}

/** Addresses of this host that others can reach: no loopback, no link-local. */
export function hostAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:') && familyOf(address))
    .map(({ address }) => address);
}
