import { ipsetLine } from '../../src/net/ipset.ts';
import { type IpvsChange, ipvsLine } from '../../src/net/ipvs.ts';
import { chainLines, declareChains } from '../kernel/own-chains.ts';
import { type IpvsRuleOptions, ipvsTables } from './rules.ts';
import type { Ruleset } from './ruleset.ts';
import { createSets } from './sets.ts';

/** The constant chains for iptables-restore --noflush. */
export function renderRules(options: IpvsRuleOptions): string {
  return Object.entries(ipvsTables(options))
    .map(([table, chains]) => {
      const lines = Array.from(chains, ([chain, rules]) => chainLines(chain, rules)).join('');
      return `*${table}\n${declareChains(chains.keys())}${lines}COMMIT\n`;
    })
    .join('');
}

/** What a first apply would say to the kernel, in the words of the tools that people know. */
export function renderAll(options: IpvsRuleOptions, rules: string, ruleset: Ruleset): string {
  const servers = [...ruleset.serverKeys].flatMap((key): IpvsChange[] => {
    const server = ruleset.server(key);
    if (!server) return [];
    const reals = server.reals.map((real) => ({ verb: 'add-real', key, real, weight: 1 }) as const);
    return [{ verb: 'add-server', key, server }, ...reals];
  });
  const { family } = options.node;
  const sections = [
    ['ipset restore -exist', createSets(family, ruleset.entries.keys).map(ipsetLine).join('\n')],
    [`${family === 'IPv6' ? 'ip6tables' : 'iptables'}-restore --noflush`, rules.trimEnd()],
    ['ipvsadm --restore', servers.map(ipvsLine).join('\n')],
    ['addresses of kube-ipvs0', [...ruleset.addresses.keys].join('\n')],
  ];
  return sections.map(([title, text]) => `# ${title}\n${text}\n`).join('');
}
