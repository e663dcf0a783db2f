import type { Endpoint } from '../../endpoints/endpoint.ts';
import { MAX_LABEL_BYTES } from '../wire/name.ts';

/** The label of an endpoint below its service: hostname, else pod name if wanted, else the dashed address. */
export function endpointName(endpoint: Endpoint, podNames: boolean): string {
  if (endpoint.hostname) return endpoint.hostname;
  if (podNames && endpoint.podName && endpoint.podName.length <= MAX_LABEL_BYTES) return endpoint.podName;
  return dashedAddress(endpoint.address);
}

/** `10-1-2-3`, `2001-db8--1`; a label must not end in a hyphen, so `2001:db8::` is `2001-db8--0`. */
export function dashedAddress(address: string): string {
  const dashed = address.replace(/[.:]/g, '-');
  return dashed.endsWith('-') ? `${dashed}0` : dashed;
}

/** The address a pod name spells: exactly three single hyphens are an IPv4 address, else hyphens are colons. */
export function undashedAddress(label: string): string {
  const hyphens = label.split('-').length - 1;
  return hyphens === 3 && !label.includes('--') ? label.replaceAll('-', '.') : label.replaceAll('-', ':');
}
