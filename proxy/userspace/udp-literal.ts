/** Addresses are never names here: no resolver is asked and binding needs no extra turn. */
export function literal(
  host: string,
  _options: unknown,
  callback: (error: null, address: string, family: number) => void,
): void {
  callback(null, host, host.includes(':') ? 6 : 4);
}
