/** One line of rules about who may ask what; plain data, for readers on other threads. The first that fits decides. */
export interface GatePolicy {
  /** False: the slow path says what becomes of the question. */
  readonly passes: boolean;
  /** Numbers of record types; undefined = every type. */
  readonly types: readonly number[] | undefined;
  /** Undefined = every client. */
  readonly networks: readonly GateNetwork[] | undefined;
}

export interface GateNetwork {
  /** 4 or 16 bytes, host bits 0. */
  readonly network: Uint8Array;
  readonly prefixBits: number;
}

/** True when a client with this address may have its question answered from the table. */
export function passesGate(
  policies: readonly GatePolicy[],
  type: number,
  client: Uint8Array,
  clientBytes: number,
): boolean {
  for (const { passes, types, networks } of policies) {
    if (types !== undefined && !types.includes(type)) continue;
    if (networks === undefined || isInside(networks, client, clientBytes)) return passes;
  }
  return true;
}

function isInside(networks: readonly GateNetwork[], client: Uint8Array, clientBytes: number): boolean {
  for (const { network, prefixBits } of networks) {
    if (network.length === clientBytes && sharesPrefix(network, client, prefixBits)) return true;
  }
  return false;
}

function sharesPrefix(network: Uint8Array, client: Uint8Array, prefixBits: number): boolean {
  const whole = prefixBits >> 3;
  for (let i = 0; i < whole; i++) if (network[i] !== client[i]) return false;
  const rest = prefixBits & 7;
  return rest === 0 || ((network[whole]! ^ client[whole]!) & (0xff << (8 - rest)) & 0xff) === 0;
}
