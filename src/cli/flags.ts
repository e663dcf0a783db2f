import { InvalidArgumentError, Option } from 'commander';
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

/** Numbers of processors, for threads that are bound to them in turn. */
export function cpuList(text: string): readonly number[] {
  if (!/^\d{1,4}(,\d{1,4})*$/.test(text))
    throw new InvalidArgumentError('Use numbers and commas, for example 0,1.');
  return text.split(',').map(Number);
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
