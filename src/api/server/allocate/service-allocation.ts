import type { UnknownObject } from '../../kinds/meta.ts';
import type { AdmissionPlugin, AdmissionRequest, Reservation } from '../admission/admission.ts';
import { ALLOCATION_ATTEMPTS_MAX, ALLOCATION_LEAK_PASSES } from '../limits.ts';
import { conflict, type StatusError } from '../status.ts';

/** What a Service asks for. */
export interface Wish {
  /** Private: what it is given is filled in. */
  readonly service: UnknownObject;
  /** namespace/name */
  readonly owner: string;
  /** Names it holds already. */
  readonly before: ReadonlySet<string>;
  /** Gathers the names that are new. */
  readonly taken: Set<string>;
  readonly dryRun: boolean;
}

/** Names that are in use. */
export type Held = Pick<ReadonlySet<string>, 'has'>;

/** One sort of thing that Services hold and no two may share, by name: cluster IPs, node ports. */
export interface Allocator {
  /** What a Service holds. */
  namesOf(service: UnknownObject): ReadonlySet<string>;
  /** Notes that this Service has it, unless another one has. */
  note(name: string, owner: string): void;
  /** Forgets it, if this Service had it. */
  forget(name: string, owner: string): void;
  /** Waits for what is being given back that the Service asks for. */
  settled?(service: UnknownObject): Promise<void>;
  /** Notes what is taken at once; throws 422 for what cannot be had. */
  allocate(wish: Wish): void;
  /**
   * Makes it safe between servers, all or nothing: returns the names another one was faster with, none when it has
   * all of them. A lost name is taken from then on.
   */
  lock(names: readonly string[], owner: string): Promise<readonly string[]>;
  unlock(names: readonly string[], owner: string): Promise<void>;
  /** A Service that this server knows has it. */
  isHeld(name: string): boolean;
  /** Locks but for those of `held`, with their owners; not while they change. */
  notHeld(held: Held): Iterable<readonly [name: string, owner: string]>;
}

/** Names that are new, by allocator. */
type Taken = Map<Allocator, Set<string>>;

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Cluster IPs and node ports of Services. What is taken is known from the Services themselves; a lock in the
 * store makes the taking safe between several servers on one store.
 */
export class ServiceAllocation implements AdmissionPlugin {
  readonly name = 'ServiceAllocation';
  readonly #allocators: readonly Allocator[];
  #leakPasses: ReadonlyMap<string, number> = new Map();

  constructor(allocators: readonly Allocator[]) {
    this.#allocators = allocators;
  }

  /** Notes what a Service holds; called for each Service found or changed elsewhere. */
  observe(service: UnknownObject | undefined, previous: UnknownObject | undefined): void {
    const owner = ownerOf(service ?? previous);
    for (const allocator of this.#allocators) {
      const now = service ? allocator.namesOf(service) : NOTHING;
      const before = previous ? allocator.namesOf(previous) : NOTHING;
      for (const name of before) if (!now.has(name)) allocator.forget(name, owner);
      for (const name of now) allocator.note(name, owner);
    }
  }

  /** Frees what none of the Services holds and what earlier passes found free, too; returns their names. */
  async releaseLeaks(services: readonly UnknownObject[]): Promise<string[]> {
    const freed: string[] = [];
    const suspects = new Map<string, number>();
    for (const allocator of this.#allocators) {
      const held = new Set(services.flatMap((service) => [...allocator.namesOf(service)]));
      for (const [name, owner] of Array.from(allocator.notHeld(held))) {
        const passes = (this.#leakPasses.get(name) ?? 0) + 1;
        if (passes < ALLOCATION_LEAK_PASSES) {
          suspects.set(name, passes);
          continue;
        }
        await free(allocator, name, owner);
        freed.push(name);
      }
    }
    this.#leakPasses = suspects;
    return freed;
  }

  /** Frees what no Service holds, at once: when no write can be under way, here or in another server. */
  async releaseUnheld(): Promise<string[]> {
    const freed: string[] = [];
    for (const allocator of this.#allocators) {
      const held = { has: (name: string) => allocator.isHeld(name) };
      for (const [name, owner] of Array.from(allocator.notHeld(held))) {
        await free(allocator, name, owner);
        freed.push(name);
      }
    }
    return freed;
  }

  async reserve(request: AdmissionRequest): Promise<Reservation | undefined> {
    if (request.kind.kind !== 'Service' || request.kind.group !== '' || request.subresource) return undefined;
    const owner = ownerOf(request.object ?? request.old);
    const { object } = request;
    const asked = object && structuredClone(object['spec']);
    for (let attempt = 1; ; attempt++) {
      const taken = await this.#try(request, owner);
      if (taken instanceof Map) return this.#reservation(request, owner, taken);
      // Asked for by number, it is refused now; else the next try picks another one.
      if (attempt === ALLOCATION_ATTEMPTS_MAX) throw lostRace(request, taken);
      if (object) object['spec'] = structuredClone(asked);
    }
  }

  /** What is taken and locked now, or the names that were lost to others; then nothing is. */
  async #try(request: AdmissionRequest, owner: string): Promise<Taken | readonly string[]> {
    const taken: Taken = new Map(this.#allocators.map((allocator) => [allocator, new Set()]));
    try {
      await this.#allocate(request, owner, taken);
      const lost = request.dryRun ? [] : await lockAll(taken, owner);
      if (lost.length === 0) return taken;
      forgetAll(taken, owner);
      return lost;
    } catch (error) {
      forgetAll(taken, owner);
      throw error;
    }
  }

  #reservation(request: AdmissionRequest, owner: string, taken: Taken): Reservation {
    return {
      commit: () => this.#dropOld(request, owner),
      rollback: async () => {
        forgetAll(taken, owner);
        if (!request.dryRun) await unlockAll(taken, owner);
      },
    };
  }

  async #allocate({ object, old, dryRun }: AdmissionRequest, owner: string, taken: Taken): Promise<void> {
    if (!object) return;
    for (const allocator of this.#allocators) await allocator.settled?.(object);
    for (const [allocator, names] of taken) {
      const before = old ? allocator.namesOf(old) : NOTHING;
      allocator.allocate({ service: object, owner, before, taken: names, dryRun });
    }
  }

  #dropOld({ object, old }: AdmissionRequest, owner: string): void {
    if (!old) return;
    for (const allocator of this.#allocators) {
      const now = object ? allocator.namesOf(object) : NOTHING;
      const gone = [...allocator.namesOf(old)].filter((name) => !now.has(name));
      for (const name of gone) allocator.forget(name, owner);
      if (gone.length > 0) void allocator.unlock(gone, owner);
    }
  }
}

async function free(allocator: Allocator, name: string, owner: string): Promise<void> {
  allocator.forget(name, owner);
  await allocator.unlock([name], owner);
}

/** All or nothing: what was locked before one failed or was lost is given back. Returns the lost names. */
async function lockAll(taken: Taken, owner: string): Promise<readonly string[]> {
  const wanted = Array.from(taken).filter(([, names]) => names.size > 0);
  const tries = await Promise.allSettled(
    wanted.map(([allocator, names]) => allocator.lock([...names], owner)),
  );
  const failed = tries.find((one) => one.status === 'rejected');
  const lost = tries.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  if (!failed && lost.length === 0) return lost;
  const isLocked = (one: PromiseSettledResult<readonly string[]> | undefined): boolean =>
    one?.status === 'fulfilled' && one.value.length === 0;
  await unlockAll(new Map(wanted.filter((_, index) => isLocked(tries[index]))), owner);
  if (failed) throw failed.reason;
  return lost;
}

async function unlockAll(taken: Taken, owner: string): Promise<void> {
  for (const [allocator, names] of taken) if (names.size > 0) await allocator.unlock([...names], owner);
}

function forgetAll(taken: Taken, owner: string): void {
  for (const [allocator, names] of taken) for (const name of names) allocator.forget(name, owner);
}

function lostRace({ kind, object }: AdmissionRequest, lost: readonly string[]): StatusError {
  const why = `${lost.join(', ')} was allocated at the same time; try again`;
  return conflict(kind, object?.metadata.name ?? '', why);
}

/** namespace/name */
function ownerOf(service: UnknownObject | undefined): string {
  return service ? `${service.metadata.namespace}/${service.metadata.name}` : '';
}
