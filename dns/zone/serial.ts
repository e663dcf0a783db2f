/** True when serial a is newer than b (RFC 1982). */
export function isNewerSerial(a: number, b: number): boolean {
  return a !== b && (a - b) >>> 0 < 0x80000000;
}
