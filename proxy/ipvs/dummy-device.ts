import { Fault } from '../../src/base/fault.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';
import { DUMMY_DEVICE } from './names.ts';

/** The device that makes the services' addresses this node's own. NOARP: nobody outside hears of them. */
export class DummyDevice {
  readonly #exec: Exec;
  readonly #family: Family;

  constructor(deps: { exec: Exec }, family: Family) {
    this.#exec = deps.exec;
    this.#family = family;
  }

  /** Faults: IPVS_UNAVAILABLE when the kernel has no dummy devices. */
  async ensure(signal?: AbortSignal): Promise<void> {
    if (!(await this.exists(signal))) {
      const made = await this.#ip(['link', 'add', DUMMY_DEVICE, 'type', 'dummy'], signal);
      if (made.exitCode !== 0 && !made.stderr.includes('File exists'))
        throw new Fault('IPVS_UNAVAILABLE', `cannot make ${DUMMY_DEVICE}: ${made.stderr.trim()}`);
    }
    // IPv6 addresses serve only on a device that is up
    if (this.#family === 'IPv6')
      await this.#batch([`link set ${DUMMY_DEVICE} addrgenmode none`, `link set ${DUMMY_DEVICE} up`], signal);
  }

  /** Addresses bound on it, of this family; none when there is no device. */
  async addresses(signal?: AbortSignal): Promise<ReadonlySet<string>> {
    const family = this.#family === 'IPv6' ? '-6' : '-4';
    const shown = await this.#ip([family, '-o', 'addr', 'show', 'dev', DUMMY_DEVICE], signal);
    const found = shown.stdout.matchAll(/ inet6? ([^\s/]+)/g);
    return new Set(Array.from(found, (match) => match[1]!));
  }

  async bind(addresses: Iterable<string>, signal?: AbortSignal): Promise<void> {
    const lines = Array.from(
      addresses,
      (address) => `addr replace ${this.#host(address)} dev ${DUMMY_DEVICE}`,
    );
    await this.#batch(lines, signal);
  }

  async unbind(addresses: Iterable<string>, signal?: AbortSignal): Promise<void> {
    const lines = Array.from(addresses, (address) => `addr del ${this.#host(address)} dev ${DUMMY_DEVICE}`);
    await this.#batch(lines, signal);
  }

  async exists(signal?: AbortSignal): Promise<boolean> {
    return (await this.#ip(['link', 'show', DUMMY_DEVICE], signal)).exitCode === 0;
  }

  /** Takes it away unless the other family still has addresses on it. */
  async removeUnused(signal?: AbortSignal): Promise<void> {
    const shown = await this.#ip(['-o', 'addr', 'show', 'dev', DUMMY_DEVICE], signal);
    if (/ inet6? /.test(shown.stdout)) return;
    const removed = await this.#ip(['link', 'del', DUMMY_DEVICE], signal);
    if (removed.exitCode !== 0 && !/Cannot find device/.test(removed.stderr))
      throw new Fault('IPVS_FAILED', `ip link del ${DUMMY_DEVICE}: ${removed.stderr.trim()}`);
  }

  #host(address: string): string {
    return this.#family === 'IPv6' ? `${address}/128 nodad` : `${address}/32`;
  }

  async #batch(lines: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    if (lines.length === 0) return;
    const options = { input: `${lines.join('\n')}\n`, ...(signal && { signal }) };
    const result = await this.#exec('ip', ['-force', '-batch', '-'], options);
    const failures = result.stderr.split('\n').filter((line) => /^(Error|RTNETLINK)/.test(line));
    // an address that is gone already is what was asked for
    const real = failures.filter((line) => !/Cannot assign requested address/.test(line));
    if (result.exitCode !== 0 && real.length > 0)
      throw new Fault('IPVS_FAILED', `ip -batch: ${real.slice(0, 3).join('; ')}`);
  }

  #ip(args: readonly string[], signal: AbortSignal | undefined): ReturnType<Exec> {
    return this.#exec('ip', args, signal ? { signal } : {});
  }
}
