import type { Transport } from './ip.ts';

/**
 * iptables rules as data: rendered for iptables-restore and readable by an evaluator. Only what weft writes is
 * modelled; every value is typed, so no text of a user can become another option of the command line.
 */
export type IptablesTable = 'filter' | 'nat' | 'mangle' | 'raw';

export type Match =
  | { readonly kind: 'protocol'; readonly protocol: Transport | 'icmp' | 'ipv6-icmp' }
  | { readonly kind: 'source' | 'destination'; readonly cidr: string; readonly negate?: boolean }
  | { readonly kind: 'destination-port'; readonly port: number }
  | { readonly kind: 'in-interface'; readonly name: string; readonly negate?: boolean }
  | { readonly kind: 'physical-in'; readonly name: string }
  | { readonly kind: 'mark'; readonly value: number; readonly mask: number; readonly negate?: boolean }
  | { readonly kind: 'address-type'; readonly side: 'source' | 'destination'; readonly negate?: boolean }
  | {
      readonly kind: 'connection-state';
      readonly states: readonly ConnectionState[];
      readonly negate?: boolean;
    }
  | { readonly kind: 'statistic'; readonly probability: number }
  | { readonly kind: 'recent-check'; readonly list: string; readonly seconds: number }
  | { readonly kind: 'recent-set'; readonly list: string }
  | {
      readonly kind: 'set';
      readonly name: string;
      readonly sides: readonly ('src' | 'dst')[];
      readonly negate?: boolean;
    }
  | { readonly kind: 'ipvs' }
  | { readonly kind: 'nfacct'; readonly name: string };

export type ConnectionState = 'NEW' | 'RELATED' | 'ESTABLISHED' | 'INVALID' | 'DNAT';

export type Target =
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'accept' | 'drop' | 'reject' | 'return' | 'notrack' }
  | { readonly kind: 'dnat'; readonly address: string; readonly port: number }
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'masquerade'; readonly randomFully: boolean }
  | { readonly kind: 'mark-or' | 'mark-xor'; readonly bits: number }
  | {
      readonly kind: 'set-add';
      readonly name: string;
      readonly sides: readonly ('src' | 'dst')[];
      readonly timeoutSeconds: number;
    }
  /** Matches have their effect (recent --set), the packet goes on. */
  | { readonly kind: 'none' };

export interface Rule {
  readonly matches: readonly Match[];
  readonly target: Target;
  /** Shown by iptables -L; quotes and control characters are dropped, cut at COMMENT_MAX_CHARACTERS. */
  readonly comment?: string;
}

/** xt_comment keeps 256 bytes including the closing NUL. */
export const COMMENT_MAX_CHARACTERS = 255;

/** The rule as one line for iptables-restore, without the leading `-A CHAIN`. */
export function renderRule(rule: Rule): string {
  let text = rule.comment === undefined ? '' : `-m comment --comment "${cleanComment(rule.comment)}" `;
  for (const match of rule.matches) text += `${renderMatch(match)} `;
  const target = renderTarget(rule.target);
  return target === '' ? text.trimEnd() : text + target;
}

const UNFIT_FOR_COMMENTS = /[^ -~]|["\\]/g;

function cleanComment(text: string): string {
  const clean = text.search(UNFIT_FOR_COMMENTS) < 0 ? text : text.replace(UNFIT_FOR_COMMENTS, '');
  return clean.length > COMMENT_MAX_CHARACTERS ? clean.slice(0, COMMENT_MAX_CHARACTERS) : clean;
}

function renderMatch(match: Match): string {
  const not = 'negate' in match && match.negate ? '! ' : '';
  switch (match.kind) {
    case 'protocol':
      return `-p ${match.protocol}`;
    case 'source':
      return `${not}-s ${match.cidr}`;
    case 'destination':
      return `${not}-d ${match.cidr}`;
    case 'destination-port':
      return `--dport ${match.port}`;
    case 'in-interface':
      return `${not}-i ${match.name}`;
    case 'physical-in':
      return `-m physdev --physdev-in ${match.name}`;
    case 'mark':
      return `-m mark ${not}--mark ${hex(match.value)}/${hex(match.mask)}`;
    case 'address-type':
      return `-m addrtype ${not}--${match.side === 'source' ? 'src' : 'dst'}-type LOCAL`;
    case 'connection-state':
      return `-m conntrack ${not}--ctstate ${match.states.join(',')}`;
    case 'statistic':
      return `-m statistic --mode random --probability ${match.probability.toFixed(10)}`;
    case 'recent-check':
      return `-m recent --name ${match.list} --rcheck --seconds ${match.seconds} --reap`;
    case 'recent-set':
      return `-m recent --name ${match.list} --set`;
    case 'set':
      return `-m set ${not}--match-set ${match.name} ${match.sides.join(',')}`;
    case 'ipvs':
      return '-m ipvs --ipvs';
    case 'nfacct':
      return `-m nfacct --nfacct-name ${match.name}`;
  }
}

function renderTarget(target: Target): string {
  switch (target.kind) {
    case 'jump':
      return `-j ${target.chain}`;
    case 'accept':
    case 'drop':
    case 'reject':
    case 'return':
    case 'notrack':
      return `-j ${target.kind.toUpperCase()}`;
    case 'dnat':
      return `-j DNAT --to-destination ${target.address.includes(':') ? `[${target.address}]` : target.address}:${target.port}`;
    case 'redirect':
      return `-j REDIRECT --to-ports ${target.port}`;
    case 'masquerade':
      return target.randomFully ? '-j MASQUERADE --random-fully' : '-j MASQUERADE';
    case 'mark-or':
      return `-j MARK --or-mark ${hex(target.bits)}`;
    case 'mark-xor':
      return `-j MARK --xor-mark ${hex(target.bits)}`;
    case 'set-add':
      return `-j SET --add-set ${target.name} ${target.sides.join(',')} --exist --timeout ${target.timeoutSeconds}`;
    case 'none':
      return '';
  }
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}
