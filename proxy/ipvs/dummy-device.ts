import { Fault, hasCode } from '../../src/base/fault.ts';
import type { Family } from '../../src/net/ip.ts';
import type { Links } from '../../src/net/netlink/links.ts';
import { DUMMY_DEVICE } from './names.ts';

/** The device that makes the services' addresses this node's own. NOARP: nobody outside hears of them. */
export class DummyDevice {
  readonly #links: Links;
  readonly #family: Family;
  #index: number | undefined;

  constructor(links: Links, family: Family) {
    this.#links = links;
    this.#family = family;
  }

  /** Faults: IPVS_UNAVAILABLE when the kernel has no dummy devices. */
  async ensure(): Promise<void> {
    if (!(await this.exists())) await this.#make();
    // IPv6 addresses serve only on a device that is up
    if (this.#family === 'IPv6') await this.#links.setUp(await this.#known());
  }

  /** Addresses bound on it, of this family; none when there is no device. */
  async addresses(): Promise<ReadonlySet<string>> {
    const index = await this.#links.index(DUMMY_DEVICE);
    return index === undefined ? new Set() : await this.#links.addresses(index, this.#family);
  }

  async bind(addresses: Iterable<string>): Promise<void> {
    await this.#links.bind(await this.#known(), addresses);
  }

  async unbind(addresses: Iterable<string>): Promise<void> {
    await this.#links.unbind(await this.#known(), addresses);
  }

  async exists(): Promise<boolean> {
    this.#index = await this.#links.index(DUMMY_DEVICE);
    return this.#index !== undefined;
  }

  /** Takes it away unless the other family still has addresses on it. */
  async removeUnused(): Promise<void> {
    if (!(await this.exists())) return;
    const index = await this.#known();
    for (const family of ['IPv4', 'IPv6'] as const)
      if ((await this.#links.addresses(index, family)).size > 0) return;
    await this.#links.remove(index);
    this.#index = undefined;
  }

  async #make(): Promise<void> {
    try {
      await this.#links.addDummy(DUMMY_DEVICE);
    } catch (cause) {
      const message = `this kernel cannot make the dummy device ${DUMMY_DEVICE}: modprobe dummy`;
      if (hasCode(cause, 'EOPNOTSUPP')) throw new Fault('IPVS_UNAVAILABLE', message, { cause });
      throw cause;
    }
    this.#index = await this.#links.index(DUMMY_DEVICE);
  }

  /** A device that somebody else made anew has another index: a full sync asks for it. */
  async #known(): Promise<number> {
    this.#index ??= await this.#links.index(DUMMY_DEVICE);
    if (this.#index === undefined) throw new Fault('IPVS_FAILED', `the device ${DUMMY_DEVICE} is gone`);
    return this.#index;
  }
}
