/** Nameservers and search list of a resolv.conf (resolv.conf(5)). */
export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
}

export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: string[] = [];
  for (const raw of text.split('\n')) {
    const [word, ...rest] = raw
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (word === 'nameserver' && rest[0]) nameservers.push(rest[0].replace(/%.*/, ''));
    if (word === 'search' || word === 'domain') search = rest;
  }
  return { nameservers, search };
}
