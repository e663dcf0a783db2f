import type { ConnectionOptions } from 'node:tls';
import { badRequest, unavailable } from '../status.ts';
import type { Target } from './service-target.ts';

/** `[scheme:]name[:port]`, as the name of a proxy path is written. */
export interface ProxyName {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  readonly port: string;
}

export function parseProxyName(text: string): ProxyName | undefined {
  const parts = text.split(':');
  const hasScheme = parts[0] === 'http' || parts[0] === 'https' || (parts.length === 3 && parts[0] === '');
  const [scheme, name = '', port = ''] =
    parts.length === 3 || (hasScheme && parts.length === 2) ? parts : ['http', ...parts];
  if (parts.length > 3 || name === '') return undefined;
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port };
}

/** Certificates behind the proxy are the pods' own: upstream does not check them either. */
export function tlsTo({ scheme }: ProxyName): ConnectionOptions | undefined {
  return scheme === 'https' ? { rejectUnauthorized: false } : undefined;
}

const PORT_MAX = 65_535;

/** Throws 503 without an address, 400 without a port. */
export function checkedTarget(host: string, port: number | undefined, { name }: ProxyName): Target {
  if (host === '') throw unavailable(`${name} has no address yet`);
  if (port === undefined || !Number.isInteger(port) || port < 1 || port > PORT_MAX) {
    throw badRequest(`no port of ${name} is known by that name`);
  }
  return { host, port };
}
