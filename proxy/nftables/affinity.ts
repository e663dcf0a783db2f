import { hasCode } from '../../src/base/fault.ts';
import type { Family } from '../../src/net/ip.ts';
import { keyText, type NftElement, type NftElements } from '../../src/net/netlink/nft-elements.ts';
import type { Nft } from '../../src/net/nft.ts';
import { affinityMaps } from './affinity-rules.ts';
import { encodeKey, encodeMapped } from './encode.ts';
import { TABLE } from './render.ts';

/** An entry may expire between listing and deleting, and then the whole deletion fails. */
const TRIES = 3;

/** Endpoints (`address . port`) that left, by group. */
export type Departed = ReadonlyMap<number, ReadonlySet<string>>;

/** Makes clients that were sent to an endpoint which is gone choose again. */
export async function forgetClients(
  elements: NftElements,
  family: Family,
  departed: Departed,
): Promise<void> {
  const gone = departedTexts(departed);
  for (let left = TRIES; ; left--) {
    const stale = (await listClients(elements, family)).filter(({ text }) => gone.has(text));
    if (stale.length === 0) return;
    try {
      return await elements.write(
        affinityMaps(family).map(([set]) => ({ verb: 'delete', set, elements: stale })),
      );
    } catch (error) {
      if (left === 1 || !hasCode(error, 'ENOENT')) throw error;
    }
  }
}

const GROUP_BYTES = 4;

/** Each remembered client: its key, and group and endpoint as one text to look up. */
async function listClients(
  elements: NftElements,
  family: Family,
): Promise<readonly (NftElement & { readonly text: string })[]> {
  const texts = new Map<string, { key: Uint8Array; text: string; parts: number }>();
  const maps = affinityMaps(family);
  for (const [map] of maps) {
    for (const { key, value } of await elements.list(map)) {
      const id = keyText(key);
      const client = texts.get(id) ?? { key, text: keyText(key.subarray(0, GROUP_BYTES)), parts: 0 };
      texts.set(id, { key, text: client.text + keyText(padded(value)), parts: client.parts + 1 });
    }
  }
  // one that expires right now may be in one map only
  return [...texts.values()].filter(({ parts }) => parts === maps.length);
}

/** What departed clients are remembered with, as the kernel lays it out. */
function departedTexts(departed: Departed): ReadonlySet<string> {
  const texts = new Set<string>();
  for (const [group, endpoints] of departed) {
    const prefix = keyText(encodeKey('endpoints', `${group} . 0`).subarray(0, GROUP_BYTES));
    for (const endpoint of endpoints) texts.add(prefix + keyText(encodeMapped('endpoints', endpoint)));
  }
  return texts;
}

/** A port alone has two bytes, beside an address four. */
function padded(value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(value.length / 4) * 4);
  bytes.set(value);
  return bytes;
}

/** The same through `nft`, where there is no netlink. */
export async function forgetClientsByNft(
  nft: Nft,
  family: Family,
  departed: Departed,
  signal: AbortSignal,
): Promise<void> {
  const table = `${family === 'IPv6' ? 'ip6' : 'ip'} ${TABLE}`;
  const clients = new Map<string, { group: number; endpoint: string[] }>();
  const maps = affinityMaps(family);
  for (const [map] of maps) {
    const listed = await nft.listElements('map', family === 'IPv6' ? 'ip6' : 'ip', TABLE, map, signal);
    for (const client of listed.map(readClient)) {
      if (!client) continue;
      const known = clients.get(client.key);
      if (known) known.endpoint.push(...client.endpoint);
      else clients.set(client.key, client);
    }
  }
  const stale = [...clients].filter(([, { group, endpoint }]) =>
    departed.get(group)?.has(endpoint.join(' . ')),
  );
  if (stale.length === 0) return;
  const keys = stale.map(([key]) => key).join(', ');
  const commands = maps.map(([map]) => `delete element ${table} ${map} { ${keys} }\n`);
  await nft.transaction(commands.join(''), signal);
}

/** nft's JSON of one element: {elem: {val: {concat: [group, client]}}} : {concat: [address, port]}, or one of them. */
function readClient(entry: unknown): { key: string; group: number; endpoint: string[] } | undefined {
  if (!Array.isArray(entry)) return undefined;
  const key = (entry[0] as { elem?: { val?: { concat?: unknown[] } } }).elem?.val?.concat;
  if (!key) return undefined;
  const value = entry[1] as { concat?: unknown[] } | string | number;
  const parts = typeof value === 'object' ? (value.concat ?? []) : [value];
  const group = groupNumber(key[0]);
  return { key: `${group} . ${String(key[1])}`, group, endpoint: parts.map(String) };
}

/** nft prints a priority as a class id, `major:minor` in hexadecimal. */
function groupNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  const [major, minor] = String(value).split(':');
  return (Number.parseInt(major || '0', 16) << 16) | Number.parseInt(minor ?? '0', 16);
}
