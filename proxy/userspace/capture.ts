import { hasCode } from '../../src/base/fault.ts';
import type { Exec } from '../../src/net/exec.ts';
import { joinHostPort, type Family } from '../../src/net/ip.ts';
import { Nft } from '../../src/net/nft.ts';
import type { Door, DoorDeps, DoorOptions } from './door.ts';
import { captureTable, type CaptureWay, nftFamily, TABLE } from './kernel-table.ts';
import { PolicyRoute } from './policy-route.ts';
import type { Catcher, RelayEngine } from './relay-engine.ts';

export interface CaptureDeps {
  readonly exec: Exec;
  readonly engine: RelayEngine;
}

export interface CaptureOptions {
  readonly family: Family;
  readonly way: CaptureWay;
}

/**
 * One listener for all TCP service addresses of a family: the kernel brings connections to it and tells where each was
 * going. redirect: it rewrites their destination (nat REDIRECT). tproxy: it gives them to the listener as they are. Takes
 * one descriptor where sockets of their own take one an address, and no service address becomes this host's own.
 */
export class Capture {
  readonly #nft: Nft;
  readonly #engine: RelayEngine;
  readonly #family: Family;
  readonly #way: CaptureWay;
  readonly #route: PolicyRoute;
  readonly #doors = new Set<string>();
  readonly #written = new Set<string>();
  readonly #touched = new Set<string>();
  #catcher: Catcher | undefined;
  #hasTable = false;

  constructor(deps: CaptureDeps, options: CaptureOptions) {
    this.#nft = new Nft(deps);
    this.#engine = deps.engine;
    this.#family = options.family;
    this.#way = options.way;
    this.#route = new PolicyRoute(deps, options);
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
      this.forget();
      await this.#write(signal);
    }
  }

  /** No connection is captured from now on; those under way go on, for the kernel knows them by themselves. */
  async release(signal: AbortSignal): Promise<void> {
    if (!this.#hasTable) return;
    await this.#nft.transaction(`flush set ${this.#nftFamily} ${TABLE} services\n`, signal);
    this.forget();
    this.#hasTable = true;
  }

  /** Clients that come now are refused. */
  stopAccepting(): void {
    this.#catcher?.[Symbol.dispose]();
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
    const head = this.#hasTable ? '' : captureTable(this.#family, this.#way, await this.#listen());
    if (this.#way === 'tproxy' && (head !== '' || look !== '')) await this.#route.ensure(signal);
    await this.#nft.transaction(head + changes + look, signal);
    this.#hasTable = true;
    for (const id of add) this.#written.add(id);
    for (const id of remove) this.#written.delete(id);
    this.#touched.clear();
  }

  /** The table is not there any more: all is written anew. */
  forget(): void {
    this.#written.clear();
    this.#hasTable = false;
    for (const id of this.#doors) this.#touched.add(id);
  }

  get #nftFamily(): 'ip' | 'ip6' {
    return nftFamily(this.#family);
  }

  async #listen(): Promise<number> {
    this.#catcher ??= await this.#engine.catchClients(this.#family, this.#way);
    return this.#catcher.port;
  }
}

/** `ip:port` or `[ip]:port` in nft's words. */
function element(id: string): string {
  const at = id.lastIndexOf(':');
  return `${id.slice(0, at).replaceAll(/[[\]]/g, '')} . ${id.slice(at + 1)}`;
}
