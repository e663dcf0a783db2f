import type { UnknownObject } from '../../kinds/meta.ts';
import type { AdmissionPlugin, AdmissionRequest, Reservation } from '../admission/admission.ts';
import { ALLOCATION_LEAK_PASSES } from '../limits.ts';

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
  /** Makes it safe between servers: all or nothing, 409 when another one was faster. */
  lock(names: readonly string[], owner: string): Promise<void>;
  unlock(names: readonly string[], owner: string): Promise<void>;
  /** Locks but for those of `held`, with their owners. */
  notHeld(held: ReadonlySet<string>): Iterable<readonly [name: string, owner: string]>;
}

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
      for (const [name, owner] of allocator.notHeld(held)) {
        const passes = (this.#leakPasses.get(name) ?? 0) + 1;
        if (passes < ALLOCATION_LEAK_PASSES) {
          suspects.set(name, passes);
          continue;
        }
        allocator.forget(name, owner);
        await allocator.unlock([name], owner);
        freed.push(name);
      }
    }
    this.#leakPasses = suspects;
    return freed;
  }

  async reserve(request: AdmissionRequest): Promise<Reservation | undefined> {
    if (request.kind.kind !== 'Service' || request.kind.group !== '' || request.subresource) return undefined;
    const owner = ownerOf(request.object ?? request.old);
    const taken = new Map(this.#allocators.map((allocator) => [allocator, new Set<string>()]));
    const forget = (): void => {
      for (const [allocator, names] of taken) for (const name of names) allocator.forget(name, owner);
    };
    try {
      await this.#allocate(request, owner, taken);
      if (!request.dryRun) await lockAll(taken, owner);
    } catch (error) {
      forget();
      throw error;
    }
    return {
      commit: () => this.#dropOld(request, owner),
      rollback: async () => {
        forget();
        if (!request.dryRun) await unlockAll(taken, owner);
      },
    };
  }

  async #allocate(
    { object, old, dryRun }: AdmissionRequest,
    owner: string,
    taken: ReadonlyMap<Allocator, Set<string>>,
  ): Promise<void> {
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

/** All or nothing: what was locked before one failed is given back. */
async function lockAll(taken: ReadonlyMap<Allocator, ReadonlySet<string>>, owner: string): Promise<void> {
  const wanted = new Map([...taken].filter(([, names]) => names.size > 0));
  const tries = await Promise.allSettled(
    Array.from(wanted, ([allocator, names]) => allocator.lock([...names], owner)),
  );
  const failed = tries.find((one) => one.status === 'rejected');
  if (!failed) return;
  await unlockAll(new Map([...wanted].filter((_, index) => tries[index]?.status === 'fulfilled')), owner);
  throw failed.reason;
}

async function unlockAll(taken: ReadonlyMap<Allocator, ReadonlySet<string>>, owner: string): Promise<void> {
  for (const [allocator, names] of taken) if (names.size > 0) await allocator.unlock([...names], owner);
}

/** namespace/name */
function ownerOf(service: UnknownObject | undefined): string {
  return service ? `${service.metadata.namespace}/${service.metadata.name}` : '';
}
