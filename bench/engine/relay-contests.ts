/** The userspace proxy's TCP beside haproxy in mode tcp, before one echo server. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ready } from '../processes.ts';
import { Rig, script } from '../proxy/relay-rig.ts';
import { type Contender, type Contest, LOAD_CORE, p99, type Paced, pin, SERVER_CORE } from './contest.ts';

const ECHO = { address: '127.244.99.1', port: 19_701 };
const SERVICE_PORT = 19_702;
const HAPROXY = { address: '127.0.99.2', port: 19_703 };
const CONNECTIONS = 64;
const STREAMS = 4;
/** Calls back with each contest while its contenders run. */
export async function relayContests(
  seconds: number,
  fought: (contest: Contest) => Promise<void>,
): Promise<void> {
  using rig = new Rig();
  const echo = rig.start(process.execPath, [script('userspace-echo.ts'), ECHO.address, String(ECHO.port)]);
  await ready(echo);
  pin(echo.pid ?? 0, LOAD_CORE);
  const ours = await rig.weft('native', { protocol: 'TCP', ...ECHO, servicePort: SERVICE_PORT });
  const theirs = rig.haproxy(HAPROXY, ECHO);
  for (const { pid } of [ours, theirs]) pin(pid, SERVER_CORE);
  const load = async ({ address, port }: Contender, kind: string, connections: number) => {
    const done = await onLoadCore(script('userspace-load.ts'), [address, port, connections, seconds, kind]);
    return done as { readonly requests: number; readonly bytes: number };
  };
  await fought({
    what: 'TCP relay, 1 KB echoed, 64 kept connections',
    ratioMax: 1,
    ours,
    theirs,
    saturate: async (of) => ({ units: (await load(of, 'keep', CONNECTIONS)).requests, seconds }),
    pace: (of, rate) => pace(of, rate, seconds),
  });
  await fought({
    what: 'TCP relay, bulk both ways, a unit is a MB',
    ratioMax: 1,
    ours,
    theirs,
    // what came back went through the proxy twice
    saturate: async (of) => ({ units: (2 * (await load(of, 'stream', STREAMS)).bytes) / 1e6, seconds }),
  });
}

/** Milliseconds, counted from when a message was due. */
async function pace({ address, port }: Contender, rate: number, seconds: number): Promise<Paced> {
  const client = new URL('./paced-client.ts', import.meta.url).pathname;
  const took = await onLoadCore(client, [address, port, rate, seconds, CONNECTIONS]);
  return { p99Ms: p99(Float64Array.from(took as number[])), lostShare: 0 };
}

/** What a program of Node prints. */
async function onLoadCore(program: string, args: readonly (string | number)[]): Promise<unknown> {
  const all = ['-c', LOAD_CORE, process.execPath, program, ...args.map(String)];
  const { stdout } = await promisify(execFile)('taskset', all, { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}
