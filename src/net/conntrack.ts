import { Fault } from '../base/fault.ts';
import type { Exec } from './exec.ts';
import type { Family } from './ip.ts';

/** A connection as the kernel tracks it: how the first packet looked, and who answers. */
export interface TrackedFlow {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** Differs from the destination where that was translated. */
  readonly replySource: string;
  readonly replySourcePort: number;
}

/** The kernel's table of UDP connections. */
export interface UdpFlows extends Disposable {
  /** Flows that were sent to one of these ports; an implementation may list others too. */
  list(family: Family, ports: ReadonlySet<number>, signal: AbortSignal): Promise<readonly TrackedFlow[]>;
  /** Makes the kernel forget flows; one that ended meanwhile is no error. */
  forget(family: Family, flows: readonly TrackedFlow[], signal: AbortSignal): Promise<void>;
}

/** A busy node tracks hundreds of thousands of flows. */
const CONNTRACK_TIMEOUT_MS = 60_000;

/**
 * Runs conntrack (conntrack-tools), which lists all ports. Faults: CONNTRACK_FAILED, and those of exec
 * (EXEC_NOT_FOUND when it is not installed).
 */
export class ConntrackProgram implements UdpFlows {
  readonly #exec: Exec;

  constructor(deps: { exec: Exec }) {
    this.#exec = deps.exec;
  }

  async list(
    family: Family,
    _ports: ReadonlySet<number>,
    signal: AbortSignal,
  ): Promise<readonly TrackedFlow[]> {
    const args = ['-L', '-p', 'udp', '-f', family.toLowerCase()];
    return parseFlows(await this.#run(args, signal));
  }

  async forget(family: Family, flows: readonly TrackedFlow[], signal: AbortSignal): Promise<void> {
    for (const flow of flows) {
      const tuple = ['-s', flow.source, '-d', flow.destination];
      const ports = ['--sport', String(flow.sourcePort), '--dport', String(flow.destinationPort)];
      await this.#run(['-D', '-f', family.toLowerCase(), '-p', 'udp', ...tuple, ...ports], signal);
    }
  }

  [Symbol.dispose](): void {}

  async #run(args: readonly string[], signal: AbortSignal): Promise<string> {
    const result = await this.#exec('conntrack', args, { timeoutMs: CONNTRACK_TIMEOUT_MS, signal });
    if (result.exitCode !== 0 && !/0 flow entries/.test(result.stderr))
      throw new Fault('CONNTRACK_FAILED', `conntrack ${args.join(' ')}: ${result.stderr.trim()}`);
    return result.stdout;
  }
}

/** Lines as `udp 17 28 src=A dst=B sport=C dport=D [UNREPLIED] src=E dst=F sport=G dport=H mark=0 use=1`. */
export function parseFlows(text: string): TrackedFlow[] {
  const flows: TrackedFlow[] = [];
  for (const line of text.split('\n')) {
    const [one, two] = Array.from(
      line.matchAll(/src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)/g),
      ([, source = '', destination = '', sourcePort, destinationPort]) => ({
        source,
        destination,
        sourcePort: Number(sourcePort),
        destinationPort: Number(destinationPort),
      }),
    );
    if (one && two) flows.push({ ...one, replySource: two.source, replySourcePort: two.sourcePort });
  }
  return flows;
}
