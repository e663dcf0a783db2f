import { hasCode } from '../../src/base/fault.ts';
import { joinHostPort, type Family } from '../../src/net/ip.ts';
import type { Nft } from '../../src/net/nft.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import type { Catcher, RelayEngine } from './relay-engine.ts';

const TABLE = 'weft-userspace';

export interface CaptureDeps {
  readonly nft: Nft;
  readonly engine: RelayEngine;
}

/**
 * One listener for all TCP service addresses of a family: the kernel redirects connections to it (nat REDIRECT) and
 * tells where each was going. Takes one descriptor where sockets of their own take one an address, and no service
 * address becomes this host's own.
 */
export class Capture {
  readonly #nft: Nft;
  readonly #engine: RelayEngine;
  readonly #family: Family;
  readonly #doors = new Set<string>();
  readonly #written = new Set<string>();
  readonly #touched = new Set<string>();
  #catcher: Catcher | undefined;
  #hasTable = false;

  constructor(deps: CaptureDeps, options: { readonly family: Family }) {
    this.#nft = deps.nft;
    this.#engine = deps.engine;
    this.#family = options.family;
  }

  /** A door without a socket of its own; the kernel knows it after `commit`. */
  open(deps: DoorDeps, options: DoorOptions): Promise<Door> {
    const id = joinHostPort(options.address, options.port);
    const door = this.#engine.openCaptured(deps, options);
    this.#doors.add(id);
    this.#touched.add(id);
    return Promise.resolve({
      refresh() {},
      [Symbol.dispose]: () => {
        this.#doors.delete(id);
        this.#touched.add(id);
        door[Symbol.dispose]();
      },
    });
  }

  /**
   * Brings the kernel's set to the open doors, in one transaction; what somebody else removed is written again. Rejects
   * as Nft does; call again to try again.
   */
  async commit(signal: AbortSignal): Promise<void> {
    try {
      await this.#write(signal);
    } catch (error) {
      if (!this.#hasTable || !hasCode(error, 'NFT_NOT_FOUND')) throw error;
      this.#forget();
      await this.#write(signal);
    }
  }

  /** No connection is captured from now on; those under way go on, for the kernel still rewrites their packets. */
  async release(signal: AbortSignal): Promise<void> {
    if (!this.#hasTable) return;
    await this.#nft.transaction(`flush set ${this.#nftFamily} ${TABLE} services\n`, signal);
    this.#forget();
    this.#hasTable = true;
  }

  /** Clients that come now are refused. */
  stopAccepting(): void {
    this.#catcher?.[Symbol.dispose]();
  }

  /** Removes the table, that of an earlier process too. */
  async remove(signal?: AbortSignal): Promise<void> {
    this.#forget();
    await this.#nft.deleteTable(this.#nftFamily, TABLE, signal);
  }

  async #write(signal: AbortSignal): Promise<void> {
    const add = [...this.#touched].filter((id) => this.#doors.has(id) && !this.#written.has(id));
    const remove = [...this.#touched].filter((id) => !this.#doors.has(id) && this.#written.has(id));
    const elements = (verb: string, ids: readonly string[]): string =>
      ids.length === 0
        ? ''
        : `${verb} element ${this.#nftFamily} ${TABLE} services { ${ids.map(element).join(', ')} }\n`;
    const changes = elements('delete', remove) + elements('add', add);
    if (changes === '' && !this.#hasTable) return;
    // with nothing to change: is it still there?
    const look = changes === '' ? `list chain ${this.#nftFamily} ${TABLE} output\n` : '';
    const head = this.#hasTable ? '' : this.#table(await this.#listen());
    await this.#nft.transaction(head + changes + look, signal);
    this.#hasTable = true;
    for (const id of add) this.#written.add(id);
    for (const id of remove) this.#written.delete(id);
    this.#touched.clear();
  }

  #forget(): void {
    this.#written.clear();
    this.#hasTable = false;
    for (const id of this.#doors) this.#touched.add(id);
  }

  get #nftFamily(): 'ip' | 'ip6' {
    return this.#family === 'IPv4' ? 'ip' : 'ip6';
  }

  /** Whatever an earlier process left is replaced in the same transaction. */
  #table(port: number): string {
    const [family, type] = this.#family === 'IPv4' ? ['ip', 'ipv4_addr'] : ['ip6', 'ipv6_addr'];
    const rule = `${family} daddr . tcp dport @services redirect to :${port}`;
    return (
      `add table ${family} ${TABLE}\ndelete table ${family} ${TABLE}\nadd table ${family} ${TABLE}\n` +
      `add set ${family} ${TABLE} services { type ${type} . inet_service; }\n` +
      `add chain ${family} ${TABLE} prerouting { type nat hook prerouting priority -100; }\n` +
      `add chain ${family} ${TABLE} output { type nat hook output priority -100; }\n` +
      `add rule ${family} ${TABLE} prerouting ${rule}\nadd rule ${family} ${TABLE} output ${rule}\n`
    );
  }

  async #listen(): Promise<number> {
    this.#catcher ??= await this.#engine.catchClients(this.#family);
    return this.#catcher.port;
  }
}

/** `ip:port` or `[ip]:port` in nft's words. */
function element(id: string): string {
  const at = id.lastIndexOf(':');
  return `${id.slice(0, at).replaceAll(/[[\]]/g, '')} . ${id.slice(at + 1)}`;
}
