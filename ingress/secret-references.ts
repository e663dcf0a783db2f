import type { CompiledIngress } from './compile/compile-ingress.ts';

/**
 * Which Secrets the Ingresses refer to: these are asked for and read, no other. A change of one Ingress costs
 * its own references.
 */
export class SecretReferences {
  readonly #byOwner = new Map<string, readonly string[]>();
  readonly #owners = new Map<string, Set<string>>();
  #changed = true;

  /** `always` are referred to by the command line. */
  constructor(always: readonly string[]) {
    this.put('', always);
  }

  /** Replaces what one owner refers to. */
  put(owner: string, secrets: readonly string[]): void {
    const before = this.#byOwner.get(owner) ?? [];
    if (secrets.length === 0 && before.length === 0) return;
    const now = new Set(secrets);
    for (const secret of before) if (!now.has(secret)) this.#drop(secret, owner);
    for (const secret of now) this.#add(secret, owner);
    if (secrets.length > 0) this.#byOwner.set(owner, secrets);
    else this.#byOwner.delete(owner);
  }

  /** The keys (`namespace/name`) when they changed since the last call. */
  takeChanged(): ReadonlySet<string> | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return new Set(this.#owners.keys());
  }

  /** Who refers to a Secret. */
  ownersOf(secret: string): Iterable<string> {
    return this.#owners.get(secret) ?? [];
  }

  #add(secret: string, owner: string): void {
    let owners = this.#owners.get(secret);
    if (!owners) {
      this.#owners.set(secret, (owners = new Set()));
      this.#changed = true;
    }
    owners.add(owner);
  }

  #drop(secret: string, owner: string): void {
    const owners = this.#owners.get(secret);
    owners?.delete(owner);
    if (owners?.size !== 0) return;
    this.#owners.delete(secret);
    this.#changed = true;
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
