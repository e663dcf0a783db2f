import { familyOf } from '../../../net/ip.ts';
import { parseCidr } from '../../../net/cidr.ts';
import { parseDurationMs } from '../cel/durations.ts';
import { timeMs } from '../decode/time.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const HOSTNAME =
  /^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62})(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62}))*\.?$/;
const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const EMAIL = /^[^\s@]{1,64}@[^\s@]{1,255}$/;
const MAC = /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i;
const DATE = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/;
/** Formats of the OpenAPI dialect that a custom resource's schema may name; others are not checked. */
const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['date-time', (text) => timeMs(text) !== undefined],
  ['date', (text) => DATE.test(text)],
  ['ipv4', (text) => familyOf(text) === 'IPv4'],
  ['ipv6', (text) => familyOf(text) === 'IPv6'],
  ['cidr', (text) => parseCidr(text) !== undefined],
  ['byte', (text) => BASE64.test(text)],
  ['hostname', (text) => HOSTNAME.test(text)],
  ['uuid', (text) => UUID.test(text)],
  ['email', (text) => EMAIL.test(text)],
  ['mac', (text) => MAC.test(text)],
  ['uri', (text) => URL.canParse(text)],
  ['duration', (text) => parseDurationMs(text) !== undefined],
]);

export function fitsFormat(text: string, format: string): boolean {
  return FORMATS.get(format)?.(text) ?? true;
}
