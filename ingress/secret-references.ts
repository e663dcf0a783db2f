import type { CompiledIngress } from './compile/compile-ingress.ts';

/**
 * Which Secrets the Ingresses refer to: these are asked for and read, no other. Counted, so that a change of one
 * Ingress costs its own references.
 */
export class SecretReferences {
  readonly #byOwner = new Map<string, readonly string[]>();
  readonly #counts = new Map<string, number>();
  #changed = true;

  /** `always` are referred to by the command line. */
  constructor(always: readonly string[]) {
    this.put('', always);
  }

  /** Replaces what one owner refers to. */
  put(owner: string, secrets: readonly string[]): void {
    const before = this.#byOwner.get(owner) ?? [];
    if (secrets.length === 0 && before.length === 0) return;
    for (const secret of secrets) this.#count(secret, 1);
    for (const secret of before) this.#count(secret, -1);
    if (secrets.length > 0) this.#byOwner.set(owner, secrets);
    else this.#byOwner.delete(owner);
  }

  /** The keys (`namespace/name`) when they changed since the last call. */
  takeChanged(): ReadonlySet<string> | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return new Set(this.#counts.keys());
  }

  #count(secret: string, step: number): void {
    const now = (this.#counts.get(secret) ?? 0) + step;
    if (now === 0 || (now === 1 && step === 1)) this.#changed = true;
    if (now > 0) this.#counts.set(secret, now);
    else this.#counts.delete(secret);
  }
}

/** Every Secret one Ingress names: certificates, logins, client CAs, upstream TLS. */
export function secretsOf({ tls, policy }: CompiledIngress): string[] {
  const found = [
    ...tls.map((entry) => entry.secret),
    policy.access.basic?.secret,
    policy.clientCertificate?.secret,
    policy.upstream.tls?.secret,
  ];
  return found.filter((secret) => secret !== undefined);
}
