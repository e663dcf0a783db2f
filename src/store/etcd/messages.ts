import protobuf from 'protobufjs';

/**
 * The part of etcd's v3 gRPC API (etcdserverpb, mvccpb) that a store needs, as protobufjs' JSON descriptor.
 * Field numbers are those of etcd's published API; fields that are absent here are skipped when met.
 */
const field = (type: string, id: number): { type: string; id: number } => ({ type, id });
const repeated = (type: string, id: number) => ({ rule: 'repeated', type, id });

const DESCRIPTOR = {
  nested: {
    ResponseHeader: { fields: { revision: field('int64', 3) } },
    KeyValue: {
      fields: {
        key: field('bytes', 1),
        create_revision: field('int64', 2),
        mod_revision: field('int64', 3),
        value: field('bytes', 5),
        lease: field('int64', 6),
      },
    },
    RangeRequest: {
      fields: {
        key: field('bytes', 1),
        range_end: field('bytes', 2),
        limit: field('int64', 3),
        revision: field('int64', 4),
        count_only: field('bool', 9),
      },
    },
    RangeResponse: {
      fields: {
        header: field('ResponseHeader', 1),
        kvs: repeated('KeyValue', 2),
        more: field('bool', 3),
        count: field('int64', 4),
      },
    },
    PutRequest: {
      fields: {
        key: field('bytes', 1),
        value: field('bytes', 2),
        lease: field('int64', 3),
        prev_kv: field('bool', 4),
      },
    },
    PutResponse: { fields: { prev_kv: field('KeyValue', 2) } },
    DeleteRangeRequest: { fields: { key: field('bytes', 1), prev_kv: field('bool', 3) } },
    DeleteRangeResponse: { fields: { prev_kvs: repeated('KeyValue', 3) } },
    Compare: {
      fields: {
        result: field('int32', 1),
        target: field('int32', 2),
        key: field('bytes', 3),
        mod_revision: field('int64', 6),
      },
      oneofs: { target_union: { oneof: ['mod_revision'] } },
    },
    RequestOp: {
      fields: {
        request_range: field('RangeRequest', 1),
        request_put: field('PutRequest', 2),
        request_delete_range: field('DeleteRangeRequest', 3),
      },
    },
    ResponseOp: {
      fields: {
        response_range: field('RangeResponse', 1),
        response_put: field('PutResponse', 2),
        response_delete_range: field('DeleteRangeResponse', 3),
      },
    },
    TxnRequest: {
      fields: {
        compare: repeated('Compare', 1),
        success: repeated('RequestOp', 2),
        failure: repeated('RequestOp', 3),
      },
    },
    TxnResponse: {
      fields: {
        header: field('ResponseHeader', 1),
        succeeded: field('bool', 2),
        responses: repeated('ResponseOp', 3),
      },
    },
    CompactionRequest: { fields: { revision: field('int64', 1) } },
    CompactionResponse: { fields: { header: field('ResponseHeader', 1) } },
    LeaseGrantRequest: { fields: { TTL: field('int64', 1) } },
    LeaseGrantResponse: { fields: { ID: field('int64', 2) } },
    LeaseRevokeRequest: { fields: { ID: field('int64', 1) } },
    LeaseRevokeResponse: { fields: { header: field('ResponseHeader', 1) } },
    LeaseKeepAliveRequest: { fields: { ID: field('int64', 1) } },
    LeaseKeepAliveResponse: { fields: { ID: field('int64', 2), TTL: field('int64', 3) } },
    LeaseTimeToLiveRequest: { fields: { ID: field('int64', 1) } },
    LeaseTimeToLiveResponse: { fields: { TTL: field('int64', 3), grantedTTL: field('int64', 4) } },
    StatusRequest: { fields: {} },
    StatusResponse: {
      fields: { version: field('string', 2), dbSize: field('int64', 3), dbSizeInUse: field('int64', 9) },
    },
    WatchCreateRequest: {
      fields: {
        key: field('bytes', 1),
        range_end: field('bytes', 2),
        start_revision: field('int64', 3),
        progress_notify: field('bool', 4),
        prev_kv: field('bool', 6),
      },
    },
    WatchProgressRequest: { fields: {} },
    WatchRequest: {
      fields: {
        create_request: field('WatchCreateRequest', 1),
        progress_request: field('WatchProgressRequest', 3),
      },
    },
    Event: { fields: { type: field('int32', 1), kv: field('KeyValue', 2), prev_kv: field('KeyValue', 3) } },
    WatchResponse: {
      fields: {
        header: field('ResponseHeader', 1),
        created: field('bool', 3),
        canceled: field('bool', 4),
        compact_revision: field('int64', 5),
        cancel_reason: field('string', 6),
        events: repeated('Event', 11),
      },
    },
  },
};

/** int64 as protobufjs decodes it; a number or decimal text when encoding. */
export type Int64 = number | string | { toNumber(): number; toString(): string };

export interface KeyValue {
  readonly key: Uint8Array;
  readonly create_revision: Int64;
  readonly mod_revision: Int64;
  readonly value: Uint8Array;
  readonly lease: Int64;
}

export interface ResponseHeader {
  readonly revision: Int64;
}

export interface RangeResponse {
  readonly header: ResponseHeader;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: Int64;
}

export interface ResponseOp {
  readonly response_range?: RangeResponse;
  readonly response_put?: { readonly prev_kv?: KeyValue };
  readonly response_delete_range?: { readonly prev_kvs: readonly KeyValue[] };
}

export interface TxnResponse {
  readonly header: ResponseHeader;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface WatchResponse {
  readonly header: ResponseHeader;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: Int64;
  readonly cancel_reason: string;
  readonly events: readonly { readonly type: number; readonly kv: KeyValue; readonly prev_kv?: KeyValue }[];
}

/** One method of the API. `idempotent`: doing it twice is as good as once, so it may be tried again. */
export interface Method<Response> {
  readonly path: string;
  readonly idempotent: boolean;
  readonly serialize: (request: object) => Buffer;
  readonly deserialize: (bytes: Buffer) => Response;
}

const root = protobuf.Root.fromJSON(DESCRIPTOR);

function method<Response>(path: string, name: string, idempotent: boolean): Method<Response> {
  const request = root.lookupType(`${name}Request`);
  const response = root.lookupType(`${name}Response`);
  return {
    path: `/etcdserverpb.${path}`,
    idempotent,
    serialize: (message) => Buffer.from(request.encode(message).finish()),
    deserialize: (bytes) => response.decode(bytes) as unknown as Response,
  };
}

export const RANGE = method<RangeResponse>('KV/Range', 'Range', true);
export const TXN_READ = method<TxnResponse>('KV/Txn', 'Txn', true);
export const TXN_WRITE = method<TxnResponse>('KV/Txn', 'Txn', false);
export const COMPACT = method<{ header: ResponseHeader }>('KV/Compact', 'Compaction', true);
export const LEASE_GRANT = method<{ ID: Int64 }>('Lease/LeaseGrant', 'LeaseGrant', true);
export const LEASE_REVOKE = method<object>('Lease/LeaseRevoke', 'LeaseRevoke', true);
export const LEASE_KEEP_ALIVE = method<{ TTL: Int64 }>('Lease/LeaseKeepAlive', 'LeaseKeepAlive', true);
export const LEASE_TTL = method<{ TTL: Int64; grantedTTL: Int64 }>(
  'Lease/LeaseTimeToLive',
  'LeaseTimeToLive',
  true,
);
export const STATUS = method<{ version: string; dbSize: Int64; dbSizeInUse: Int64 }>(
  'Maintenance/Status',
  'Status',
  true,
);
export const WATCH = method<WatchResponse>('Watch/Watch', 'Watch', true);

/** Revisions, counts and times to live stay below 2^53. */
export function toNumber(value: Int64): number {
  return typeof value === 'object' ? value.toNumber() : Number(value);
}

/** Lease ids take all 63 bits, so they are text. */
export function toText(value: Int64): string {
  return typeof value === 'object' ? value.toString() : String(value);
}

/** The first key after all keys with this prefix, as etcd's range_end; a single 0 byte = the end of all keys. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let at = prefix.length - 1; at >= 0; at--) {
    if (prefix[at]! < 0xff) {
      const end = new Uint8Array(prefix.subarray(0, at + 1)); // slice of a Buffer would share its bytes
      end[at]!++;
      return end;
    }
  }
  return new Uint8Array(1);
}
