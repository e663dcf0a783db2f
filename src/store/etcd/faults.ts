import { status } from '@grpc/grpc-js';
import { Fault, hasCode, messageOf } from '../../base/fault.ts';
import * as store from '../store.ts';

interface GrpcError {
  readonly code: number;
  readonly details: string;
}

function grpcError(error: unknown): GrpcError | undefined {
  const { code, details } = (error ?? {}) as { code?: unknown; details?: unknown };
  return typeof code === 'number' && typeof details === 'string' ? { code, details } : undefined;
}

/** True when the request certainly had no effect, so that even a write may be sent again. */
export function nothingHappened(error: unknown): boolean {
  if (hasCode(error, store.STORE_UNAVAILABLE)) return true; // never sent
  const details = grpcError(error)?.details ?? '';
  return UNDONE.some((text) => details.includes(text));
}

const UNDONE = [
  'etcdserver: no leader',
  'etcdserver: too many requests',
  'etcdserver: not capable',
  'No connection established',
];

/** True when another member, or the same one later, may answer. */
export function retryable(error: unknown): boolean {
  const code = grpcError(error)?.code;
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED || code === status.INTERNAL;
}

/** What a call's failure means to a user of the store. */
export function etcdFault(error: unknown, idempotent: boolean): Fault {
  if (error instanceof Fault) return error;
  const found = grpcError(error);
  const options = { cause: error };
  const known = found && KNOWN.find(([, text]) => found.details.includes(text));
  if (known) return new Fault(known[0], `etcd: ${found.details}`, options);
  const reason = found ? `${status[found.code] ?? found.code}: ${found.details}` : messageOf(error);
  if (idempotent || nothingHappened(error) || (found && REFUSED.has(found.code))) {
    return new Fault(store.STORE_UNAVAILABLE, `etcd does not serve: ${reason}`, options);
  }
  return new Fault(store.STORE_OUTCOME_UNKNOWN, `etcd may or may not have written: ${reason}`, options);
}

const REFUSED: ReadonlySet<number> = new Set([
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.INVALID_ARGUMENT,
  status.FAILED_PRECONDITION,
  status.UNIMPLEMENTED,
  status.RESOURCE_EXHAUSTED,
]);

const KNOWN: readonly (readonly [code: string, text: string])[] = [
  [store.STORE_COMPACTED, 'required revision has been compacted'],
  [store.STORE_FUTURE, 'required revision is a future revision'],
  [store.STORE_FULL, 'database space exceeded'],
  [store.STORE_LEASE_NOT_FOUND, 'requested lease not found'],
  [store.STORE_INVALID, 'request is too large'],
];
