import type { Family } from './ip.ts';

export type IpsetType = 'bitmap:port' | 'hash:ip' | 'hash:ip,port' | 'hash:ip,port,ip' | 'hash:ip,port,net';

/** What a set is made with; a bitmap:port holds all ports and takes none of the rest. */
export interface IpsetOptions {
  readonly type: IpsetType;
  readonly family: Family;
  readonly entriesMax?: number;
  /** Buckets to begin with; the kernel makes them more. */
  readonly hashSize?: number;
  /** Entries expire; 0 = only those that are added with a time of their own. */
  readonly timeoutSeconds?: number;
}

/**
 * One change of the kernel's ipsets; what is so already is no error. An entry is written as ipset does:
 * `80` (bitmap:port), `10.0.0.1`, `10.0.0.1,tcp:80`, `10.0.0.1,tcp:80,10.0.0.2`, `10.0.0.1,tcp:80,10.0.0.0/8`.
 */
export type IpsetChange =
  | { readonly verb: 'create'; readonly set: string; readonly options: IpsetOptions }
  | { readonly verb: 'add' | 'del'; readonly set: string; readonly entry: string }
  | { readonly verb: 'flush' | 'destroy'; readonly set: string }
  | { readonly verb: 'swap'; readonly set: string; readonly other: string };

/** The change as a line for `ipset restore`: for people, and to name what failed. */
export function ipsetLine(change: IpsetChange): string {
  const { verb, set } = change;
  switch (verb) {
    case 'create':
      return `create ${set} ${optionsText(change.options)}`;
    case 'add':
    case 'del':
      return `${verb} ${set} ${change.entry}`;
    case 'swap':
      return `swap ${set} ${change.other}`;
    case 'flush':
    case 'destroy':
      return `${verb} ${set}`;
  }
}

function optionsText({ type, family, entriesMax, hashSize, timeoutSeconds }: IpsetOptions): string {
  if (type === 'bitmap:port') return `${type} range 0-65535`;
  const words = [type, 'family', family === 'IPv6' ? 'inet6' : 'inet'];
  if (hashSize !== undefined) words.push('hashsize', String(hashSize));
  if (entriesMax !== undefined) words.push('maxelem', String(entriesMax));
  if (timeoutSeconds !== undefined) words.push('timeout', String(timeoutSeconds));
  return words.join(' ');
}
