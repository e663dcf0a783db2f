import { type IptablesTable, type Rule, renderRule } from '../../src/net/iptables-rule.ts';

/** A jump from one of the kernel's chains into ours. */
export interface EntryJump {
  readonly table: IptablesTable;
  readonly chain: string;
  readonly rule: Rule;
}

/** The restore with the jumps put at the top of the kernel's chains; the last one to insert ends up first. */
export function withJumps(restore: string, jumps: readonly EntryJump[]): string {
  const tables = restore.split('COMMIT\n').filter((text) => text !== '');
  return tables
    .map((text) => {
      const own = jumps.filter(({ table }) => text.startsWith(`*${table}\n`)).toReversed();
      const lines = own.map(({ chain, rule }) => `-I ${chain} 1 ${renderRule(rule)}\n`);
      return `${text}${lines.join('')}COMMIT\n`;
    })
    .join('');
}

/** True when the output of iptables-save shows a rule of this chain that leads where the jump does. */
export function hasJump(saved: string, { chain, rule }: EntryJump): boolean {
  const target = rule.target.kind === 'jump' ? rule.target.chain : '';
  return new RegExp(`^-A ${chain} (.* )?-j ${target}$`, 'm').test(saved);
}

export function chainsIn(saved: string): string[] {
  return Array.from(saved.matchAll(/^:(\S+) /gm), (match) => match[1]!);
}

/** The restore that takes our chains and all rules that lead into them out of a table; undefined: none there. */
export function removal(
  table: IptablesTable,
  saved: string,
  isOurs: (chain: string) => boolean,
): string | undefined {
  const chains = chainsIn(saved).filter(isOurs);
  if (chains.length === 0) return undefined;
  const jumps = saved.split('\n').filter((line) => {
    const [, from = '', to = ''] = /^-A (\S+) .*-[jg] (\S+)$/.exec(line) ?? [];
    return to !== '' && isOurs(to) && !isOurs(from);
  });
  const lines = [
    ...chains.map((chain) => `:${chain} - [0:0]`),
    ...jumps.map((line) => line.replace(/^-A/, '-D')),
    ...chains.map((chain) => `-X ${chain}`),
  ];
  return `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
}

export function chainLines(chain: string, rules: readonly Rule[]): string {
  let text = '';
  for (const rule of rules) text += `-A ${chain} ${renderRule(rule)}\n`;
  return text;
}

export function declareChains(chains: Iterable<string>): string {
  let text = '';
  for (const chain of chains) text += `:${chain} - [0:0]\n`;
  return text;
}
