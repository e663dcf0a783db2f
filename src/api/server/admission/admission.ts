import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import type { UserInfo } from '../http/request.ts';

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

/** One write on its way to the store. */
export interface AdmissionRequest {
  readonly operation: Operation;
  readonly kind: KindInfo;
  readonly subresource: string;
  readonly namespace: string;
  /** Empty while metadata.generateName has not been resolved. */
  readonly name: string;
  /** Private and unfrozen, in the served version; undefined for DELETE. Plugins mutate it in `admit`. */
  object: UnknownObject | undefined;
  /** Frozen; undefined for CREATE. */
  readonly old: UnknownObject | undefined;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  /** CreateOptions, UpdateOptions or DeleteOptions as the client sent them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Text for the client's Warning header. */
  warn(text: string): void;
  /** Adds an annotation to the request's audit event. */
  annotate?(key: string, value: string): void;
}

/** A reservation that the write either keeps or gives back (addresses, ports, quota). */
export interface Reservation {
  /** The write is durable. */
  commit(): void;
  /** The write failed, or was a dry run. */
  rollback(): void | Promise<void>;
}

/** Throws StatusError to refuse. Mutating plugins run first, in order, then schema validation, then validating ones. */
export interface AdmissionPlugin {
  readonly name: string;
  admit?(request: AdmissionRequest): Promise<void> | void;
  validate?(request: AdmissionRequest): Promise<void> | void;
  /** Exec, attach, port-forward, proxy: operation CONNECT, the object is their options. */
  connect?(request: AdmissionRequest): Promise<void> | void;
  /** Runs last, just before the store. */
  reserve?(request: AdmissionRequest): Promise<Reservation | undefined> | Reservation | undefined;
}

export class AdmissionChain {
  readonly #plugins: readonly AdmissionPlugin[];

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#plugins = plugins;
  }

  async admit(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) {
      const admitted = plugin.admit?.(request);
      if (admitted) await admitted; // most decide at once: no hop for each of them
    }
  }

  async validate(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) {
      const validated = plugin.validate?.(request);
      if (validated) await validated;
    }
  }

  async connect(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) {
      const judged = plugin.connect?.(request);
      if (judged) await judged;
    }
  }

  /** One reservation for all plugins; what was reserved before a refusal is given back. */
  async reserve(request: AdmissionRequest): Promise<Reservation> {
    const held: Reservation[] = [];
    const rollback = async (): Promise<void> => {
      for (const reservation of held.splice(0).reverse()) await reservation.rollback();
    };
    try {
      for (const plugin of this.#plugins) {
        const reserved = plugin.reserve?.(request);
        const reservation = reserved instanceof Promise ? await reserved : reserved;
        if (reservation) held.push(reservation);
      }
    } catch (error) {
      await rollback();
      throw error;
    }
    return {
      commit: () => {
        for (const reservation of held.splice(0)) reservation.commit();
      },
      rollback,
    };
  }
}
