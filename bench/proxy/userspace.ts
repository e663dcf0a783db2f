/**
 * CPU of the userspace proxy beside haproxy in mode tcp, in one run, of both engines: 1 KB echoed on kept connections (us a
 * request), on a new connection each (us a request), and bulk both ways (ms a GB relayed). Beside them the least that a relay
 * on node:net costs. Medians of the rounds.
 * Run: node bench/proxy/userspace.ts [seconds] [connections] [rounds]
 */
import { cpuSeconds, ready } from '../processes.ts';
import { compare, Rig, script, type Target } from './relay-rig.ts';

const RATIO_LIMITS = { native: 1, portable: 1.5 } as const;
const KINDS = ['keep', 'new', 'stream'] as const;
const STREAMS = 4;
const ECHO = { address: '127.244.99.1', port: 19_701 };
const SERVICE_PORT = 19_702;
const HAPROXY = { address: '127.0.99.2', port: 19_703 };
const FLOOR = { address: '127.0.99.3', port: 19_704 };

const seconds = Number(process.argv[2] ?? 5);
const connections = Number(process.argv[3] ?? 64);
const rounds = Number(process.argv[4] ?? 3);

interface Done {
  readonly requests: number;
  readonly bytes: number;
  readonly failures: number;
}

/** Microseconds a request, milliseconds a GB. */
async function measure(rig: Rig, { pid, address, port }: Target, kind: string): Promise<number> {
  const before = cpuSeconds(pid);
  const count = kind === 'stream' ? STREAMS : connections;
  const done = (await rig.run('userspace-load.ts', [address, port, count, seconds, kind])) as Done;
  if (done.failures > 0) throw new Error(`${done.failures} of ${done.requests} requests failed`);
  const spent = cpuSeconds(pid) - before;
  // what came back went through the proxy twice
  return kind === 'stream' ? (spent / ((2 * done.bytes) / 1e9)) * 1e3 : (spent / done.requests) * 1e6;
}

using rig = new Rig();
await ready(rig.start(process.execPath, [script('userspace-echo.ts'), ECHO.address, String(ECHO.port)]));
const floor = rig.start(process.execPath, [
  script('userspace-floor.ts'),
  ...[FLOOR.address, FLOOR.port, ECHO.address, ECHO.port].map(String),
]);
await ready(floor);
const backing = { protocol: 'TCP', ...ECHO, servicePort: SERVICE_PORT } as const;
const targets: Target[] = [
  await rig.weft('native', backing),
  await rig.weft('portable', backing),
  { name: 'floor', pid: floor.pid ?? 0, ...FLOOR },
  rig.haproxy(HAPROXY, ECHO),
];
let missed = 0;
for (const kind of KINDS) {
  const taken = await compare(targets, rounds, (target) => measure(rig, target, kind));
  const [native = 0, portable = 0, least = 0, theirs = 0] = taken;
  const ratios = { native: native / theirs, portable: portable / theirs };
  for (const [engine, ratio] of Object.entries(ratios))
    if (ratio > RATIO_LIMITS[engine as keyof typeof ratios]) missed++;
  const figures = taken.map((value) => value.toFixed(1).padStart(8));
  const text = [ratios.native, ratios.portable, least / theirs].map((ratio) => ratio.toFixed(2)).join(', ');
  const unit = kind === 'stream' ? 'ms/GB' : 'us/request';
  process.stdout.write(
    `${kind.padEnd(7)} native, portable, floor, haproxy: ${figures.join('')} ${unit}; ratios ${text}\n`,
  );
}
if (missed > 0) process.exitCode = 1;
