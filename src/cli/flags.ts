import { InvalidArgumentError } from 'commander';
import { parseCidr } from '../net/cidr.ts';
import { familyOf, splitHostPort } from '../net/ip.ts';

/** Parsers of option values: each names what is wrong and what is expected. */
export function listenFlag(text: string): { host: string; port: number } {
  const split = splitHostPort(text);
  if (!split || !familyOf(split.host))
    throw new InvalidArgumentError('Use ADDRESS:PORT, for example 127.0.0.1:8080.');
  return split;
}

export function cidrFlag(text: string): string {
  if (!parseCidr(text)) throw new InvalidArgumentError('Use ADDRESS/BITS, for example 127.96.0.0/16.');
  return text;
}

/** Gathers a repeatable option. */
export function repeated(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

export function oneOf<T extends string>(...words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text);
    if (!found) throw new InvalidArgumentError(`Use one of ${words.join(', ')}.`);
    return found;
  };
}
