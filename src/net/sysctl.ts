import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Settings below /proc/sys, by dotted names (`net.ipv4.ip_forward`). Synchronous on purpose: the kernel answers
 * at once, and for the network namespace of the thread that asks.
 */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(pathOf(name), 'utf8').trim();
  } catch {
    return undefined; // this kernel has no such setting, or not yet
  }
}

/** Undefined when it is set now; otherwise why not. */
export function writeSysctl(name: string, value: string | number): string | undefined {
  if (readSysctl(name) === String(value)) return undefined;
  try {
    writeFileSync(pathOf(name), String(value));
    return undefined;
  } catch (error) {
    return `${name}=${value}: ${(error as Error).message}`;
  }
}

function pathOf(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`;
}
