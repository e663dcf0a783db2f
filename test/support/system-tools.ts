import { execFileSync, spawnSync } from 'node:child_process';

/** Programs the tests run as real clients, peers and kernels' tools, and the Debian package that holds each. */
export const TOOLS: Readonly<Record<string, string>> = {
  dig: 'bind9-dnsutils',
  delv: 'bind9-dnsutils',
  kdig: 'knot-dnsutils',
  dnsperf: 'dnsperf',
  curl: 'curl',
  openssl: 'openssl',
  unzip: 'unzip',
  ip: 'iproute2',
  iptables: 'iptables',
  nft: 'nftables',
  ipset: 'ipset',
  ipvsadm: 'ipvsadm',
  conntrack: 'conntrack',
  wrk: 'wrk',
  h2load: 'nghttp2-client',
  socat: 'socat',
  htpasswd: 'apache2-utils',
  etcd: 'etcd-server',
  etcdctl: 'etcd-client',
  bird: 'bird2',
  haproxy: 'haproxy',
  nginx: 'nginx-light',
  nsd: 'nsd',
  knotd: 'knot',
  chromium: 'chromium',
  pebble: 'pebble',
  'pebble-challtestsrv': 'pebble',
  ps: 'procps',
  strace: 'strace',
  'linux.uml': 'user-mode-linux',
  busybox: 'busybox-static',
  gcc: 'gcc',
};

/** Services that these packages start on installation and that would hold the ports tests compare on. */
const STARTED_BY_INSTALL = ['nsd', 'knot', 'nginx', 'haproxy', 'etcd', 'bird'];

export function missingTools(tools: readonly string[] = Object.keys(TOOLS)): string[] {
  return tools.filter(
    (tool) => spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin:/sbin command -v ${tool}`]).status !== 0,
  );
}

/** Installs what is missing when it can (root on Debian or Ubuntu); returns what is missing still. */
export function installTools(say: (line: string) => void): string[] {
  const missing = missingTools();
  if (missing.length === 0) return [];
  const packages = [...new Set(missing.map((tool) => TOOLS[tool]!))];
  const command = `apt-get install -y ${packages.join(' ')}`;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || spawnSync('sh', ['-c', 'command -v apt-get']).status !== 0) {
    say(
      `Missing: ${missing.join(', ')}. The tests that need them are skipped. On Debian or Ubuntu, as root: ${command}`,
    );
    return missing;
  }
  say(`Installing ${packages.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    execFileSync('apt-get', ['-qq', 'update'], { stdio: 'ignore', env });
    // one at a time if together fails: a package missing from one distribution must not cost the others
    if (spawnSync('apt-get', ['-qq', '-y', 'install', ...packages], { stdio: 'ignore', env }).status !== 0) {
      for (const name of packages)
        spawnSync('apt-get', ['-qq', '-y', 'install', name], { stdio: 'ignore', env });
    }
  } catch (error) {
    say(`apt-get: ${String(error)}`);
  }
  for (const unit of STARTED_BY_INSTALL) spawnSync('systemctl', ['stop', unit], { stdio: 'ignore' });
  const left = missingTools();
  if (left.length > 0) say(`Still missing: ${left.join(', ')}. Tried: ${command}`);
  return left;
}
