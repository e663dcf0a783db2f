import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './source-files.ts';

/**
 * A Linux kernel that has what the host's may lack (IPVS, dummy devices): user-mode Linux, an ordinary process
 * made of Debian's package, which needs no hardware support. The guest sees the host's files: the project's
 * folder as it is, all else under an overlay in memory. It has one CPU, root, and no network but loopback.
 */
export interface GuestRun {
  /** The command's own; undefined when the machine did not get as far. */
  readonly status: number | undefined;
  /** False when not even the command began: this host cannot run the machine. */
  readonly booted: boolean;
  readonly output: string;
}

export interface GuestOptions {
  readonly timeoutMs: number;
  readonly memoryMib?: number;
  readonly env?: Readonly<Record<string, string>>;
}

const KERNEL = '/usr/bin/linux.uml';
const MODULES = '/usr/lib/uml/modules';
const MEMORY_MIB = 2_048;

/** What the guest loads at start; xt_* come on use. */
const GUEST_MODULES =
  'ipv6 veth bridge ip_set xt_set nf_conntrack nf_conntrack_netlink ip_vs ' +
  'ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_lblc ip_vs_lblcr ip_vs_dh ip_vs_sh ip_vs_sed ip_vs_nq ip_vs_fo ' +
  'ip_vs_ovf ip_vs_mh';

/** Why no machine can run here; undefined when one may. */
export function noVirtualMachine(): string | undefined {
  if (process.arch !== 'x64') return 'user-mode Linux is for x86-64';
  if (process.getuid?.() !== 0) return 'needs root';
  const files = [KERNEL, MODULES, '/bin/busybox'];
  const missing = files.filter((path) => !existsSync(path));
  if (missing.length > 0)
    return `missing: ${missing.join(', ')} (apt-get install user-mode-linux busybox-static)`;
  if (wantsPadding() && spawnSync('gcc', ['--version']).status !== 0)
    return 'missing: gcc, to make user-mode Linux run on a CPU with AMX';
  return undefined;
}

/** Runs a shell command in the project's folder inside a machine of its own. */
export async function runInGuest(command: string, options: GuestOptions): Promise<GuestRun> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-vm-'));
  try {
    writeGuestFiles(folder, command, options);
    const console = await boot(folder, options);
    const status = join(folder, 'status');
    const output = existsSync(join(folder, 'out')) ? readFileSync(join(folder, 'out'), 'utf8') : '';
    const booted = existsSync(join(folder, 'ready'));
    if (!existsSync(status)) return { status: undefined, booted, output: output + console };
    return { status: Number(readFileSync(status, 'utf8')), booted, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function boot(folder: string, { timeoutMs, memoryMib = MEMORY_MIB }: GuestOptions): Promise<string> {
  const shim = wantsPadding() ? compileShim(folder) : undefined;
  const env = {
    PATH: process.env['PATH'],
    TMPDIR: hasRoom('/dev/shm', memoryMib) ? '/dev/shm' : folder, // the guest's memory is a file there
    ...(shim !== undefined && { LD_PRELOAD: shim }),
  };
  // its processes trace one another: staying on one CPU makes that several times faster
  const cpus = readFileSync('/proc/self/status', 'utf8').match(/Cpus_allowed_list:\s*(\d+)/)?.[1] ?? '0';
  const args = ['-c', cpus, KERNEL, `mem=${memoryMib}M`, `uml_dir=${folder}`, 'con=null', 'con0=fd:0,fd:1'];
  args.push('quiet', 'ro', 'rootfstype=hostfs', 'rootflags=/', `init=${folder}/init`, `WEFT_VM=${folder}`);
  args.push('initcall_blacklist=raid6_select_algo,calibrate_xor_blocks'); // benchmarks of no use here
  return new Promise((resolve) => {
    const child = spawn('taskset', args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const hear = (chunk: Buffer): void => void (said += chunk.toString());
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const end = (): void => {
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        // all of its processes have ended
      }
    };
    const timer = setTimeout(end, timeoutMs);
    child.on('error', (error) => (said += error.message));
    child.on('close', () => {
      clearTimeout(timer);
      end();
      resolve(said);
    });
  });
}

function writeGuestFiles(folder: string, command: string, { env = {} }: GuestOptions): void {
  const modules = join(MODULES, readdirSync(MODULES)[0] ?? '');
  const root = ROOT.replace(/\/$/, '');
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const settings = { ...env, PATH: process.env['PATH'] ?? '', HOME: '/root' };
  const exports = Object.entries(settings).map(([name, value]) => `export ${name}=${quoted(value)}`);
  const options = { mode: 0o755 };
  writeFileSync(join(folder, 'init'), guestInit(folder, root, modules), options);
  const main = [
    ...exports,
    `cd ${quoted(root)}`,
    ': >/run/weft-vm/ready',
    'ip link set lo up',
    `modprobe -qa ${GUEST_MODULES}`,
    'modprobe dummy numdummies=0',
    '[ -e /sbin/modprobe ] || ln -s /bin/busybox /sbin/modprobe',
    `/bin/sh -c ${quoted(command)} </dev/null >>/run/weft-vm/out 2>&1`,
    'echo $? >/run/weft-vm/status',
    'sync',
    '/bin/busybox poweroff -f',
  ];
  writeFileSync(join(folder, 'main'), `${main.join('\n')}\n`, options);
}

/** Process 1 of the guest: an overlay in memory over the host's files, then the command in it. */
function guestInit(folder: string, root: string, modules: string): string {
  return `#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
set -e
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
insmod ${modules}/kernel/fs/overlayfs/overlay.ko
mount -t tmpfs none /mnt
mkdir /mnt/low /mnt/up /mnt/work /mnt/new
mount -o bind / /mnt/low
mount -t overlay -o lowerdir=/mnt/low,upperdir=/mnt/up,workdir=/mnt/work none /mnt/new
cd /mnt/new
mount -t proc none proc
mount -t sysfs none sys
mount -t devtmpfs none dev
mount -t tmpfs none run
mkdir -p dev/pts dev/shm run/lock run/netns run/weft-vm
mount -t devpts none dev/pts
mount -t tmpfs none dev/shm
ln -sf /proc/self/fd dev/fd
mount -t hostfs -o ${folder} none run/weft-vm
mkdir -p .${root}
mount -t hostfs -o ${root} none .${root}
mkdir -p lib/modules/$(uname -r)
mount -o bind .${modules} lib/modules/$(uname -r)
# this kernel's nf_tables cannot do IP
for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -sf /usr/sbin/xtables-legacy-multi etc/alternatives/$tool
done
mount --move . /
exec chroot . /bin/busybox sh /run/weft-vm/main
`;
}

function hasRoom(folder: string, mib: number): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize > mib * 1024 * 1024;
  } catch {
    return false;
  }
}

/** User-mode Linux of kernel 6.1 has less room for registers than a CPU with AMX hands out and wants back. */
function wantsPadding(): boolean {
  return /\bamx_tile\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
}

const SHIM = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/uio.h>
enum { SET_REGISTERS = 0x4205, XSTATE_NOTE = 0x202, COMPONENTS_AT = 512, ALL_BUT_AMX = 0x3ff };
long ptrace(int request, int pid, long note, struct iovec *registers) {
  static char whole[16384];
  long (*next)(int, int, long, void *) = dlsym(RTLD_NEXT, "ptrace");
  if (request != SET_REGISTERS || note != XSTATE_NOTE || registers->iov_len >= sizeof whole)
    return next(request, pid, note, registers);
  memcpy(whole, registers->iov_base, registers->iov_len);
  *(long *)(whole + COMPONENTS_AT) &= ALL_BUT_AMX;
  struct iovec padded = {whole, sizeof whole};
  return next(request, pid, note, &padded);
}
`;

/** A library that pads what user-mode Linux writes back to that size. */
function compileShim(folder: string): string | undefined {
  const path = join(folder, 'padding.so');
  const { status } = spawnSync('gcc', ['-O2', '-shared', '-fPIC', '-o', path, '-x', 'c', '-'], {
    input: SHIM,
  });
  return status === 0 ? path : undefined;
}
