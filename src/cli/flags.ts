import { existsSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';
import { parseSpan } from '../controllers/services/load-balancer-pool.ts';
import { parseCidr } from '../net/cidr.ts';
import { familyOf, joinHostPort, splitHostPort } from '../net/ip.ts';

/** Parsers of option values: each names what is wrong and what is expected. */
export function listenFlag(text: string): { host: string; port: number } {
  const split = splitHostPort(text);
  if (!split || !familyOf(split.host))
    throw new InvalidArgumentError('Use ADDRESS:PORT, for example 127.0.0.1:8080.');
  return split;
}

/** An option that takes ADDRESS:PORT, its default shown the same way. */
export function listenOption(flags: string, description: string, host: string, port: number): Option {
  return new Option(flags, description)
    .argParser(listenFlag)
    .default({ host, port }, joinHostPort(host, port));
}

export function cidrFlag(text: string): string {
  if (!parseCidr(text)) throw new InvalidArgumentError('Use ADDRESS/BITS, for example 127.96.0.0/16.');
  return text;
}

/** Gathers spans of addresses, as pools of the controllers take them. */
export function addressRange(text: string, previous: readonly string[] = []): readonly string[] {
  if (!parseSpan(text))
    throw new InvalidArgumentError(
      'Use FIRST-LAST, ADDRESS or ADDRESS/BITS, for example 192.0.2.1-192.0.2.9.',
    );
  return [...previous, text];
}

export function seconds(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Use a number of seconds.');
  return Number(text);
}

/** The address of a store, as far as its form tells. */
export function storeUrl(text: string): string {
  if (!/^(?:memory:$|sqlite:.|etcd:.)/.test(text))
    throw new InvalidArgumentError('Use sqlite:FILE, etcd:URL,URL or memory:.');
  return text;
}

/** Numbers of processors, for threads that are bound to them in turn. */
export function cpuList(text: string): readonly number[] {
  if (!/^\d{1,4}(,\d{1,4})*$/.test(text))
    throw new InvalidArgumentError('Use numbers and commas, for example 0,1.');
  return text.split(',').map(Number);
}

/** Gathers manifests to read, which are there: a typing error must not look like an empty cluster. */
export function manifestPath(path: string, previous: readonly string[] = []): readonly string[] {
  if (path !== '-' && !existsSync(path)) throw new InvalidArgumentError('There is no such file or folder.');
  return [...previous, path];
}

/** Gathers a repeatable option. */
export function repeated(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
