import type { Clock } from '../../../base/clock.ts';
import type { Logger } from '../../../base/log.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo, KindRegistry } from '../../kinds/registry.ts';
import type { Store } from '../../../store/store.ts';
import type { AdmissionChain } from '../admission/admission.ts';
import type { Conversions } from '../extension/conversions.ts';
import type { UserInfo } from '../http/request.ts';
import type { WatchSlots } from '../watch-slots.ts';
import type { ObjectStore } from './object-store.ts';

/** What the verbs of every kind stand on. */
export interface Core {
  readonly store: Store;
  readonly objects: ObjectStore;
  readonly registry: KindRegistry;
  readonly conversions: Conversions;
  readonly admission: AdmissionChain;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly watchSlots: WatchSlots;
  /** Waits for the user's turn to go on with a long reply or a watch. */
  readonly nextSlice: (username: string) => Promise<void>;
}

/** One write request: what is asked of which object by whom. */
export interface WriteContext {
  readonly kind: KindInfo;
  readonly namespace: string;
  /** Empty for a create. */
  readonly name: string;
  readonly subresource: string;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** metadata.managedFields is already right (server-side apply). */
  readonly applied?: boolean;
  warn(text: string): void;
  /** Adds an annotation to the audit event. */
  annotate?(key: string, value: string): void;
}

export type Change = (old: UnknownObject) => UnknownObject | Promise<UnknownObject>;
