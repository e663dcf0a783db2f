/**
 * `import { ... } from 'weft/dns'`: the DNS room for embedding. docs/dns.md, "As a library", has examples; names that
 * are not here are internal and may change.
 */

// Messages on the wire.
export { decodeMessage, type DecodeResult } from './wire/decode.ts';
export { encodeMessage, type EncodeOptions } from './wire/encode.ts';
export {
  queryMessage,
  record,
  replyTo,
  type Edns,
  type EdnsOption,
  type Message,
  type Question,
  type ResourceRecord,
} from './wire/message.ts';
export { formatRecord, parseRecord } from './wire/zone-text.ts';

// Plugins and chains.
export { composeChain } from './chain.ts';
export type { Plugin } from './plugin.ts';
export { failure, withQuestion, type Handler, type Outcome, type Peer, type Query } from './query.ts';

// The cluster: objects in, answers out.
export { Tracker } from '../endpoints/tracker.ts';
export { ClusterNames, type ClusterNamesOptions } from './cluster/cluster-names.ts';
export { PackedReader } from './cluster/table/packed-reader.ts';
export type { TableBuffers } from './cluster/table/layout.ts';
export type { ReaderOptions } from './cluster/table/reader-options.ts';

// A whole server with a Corefile, and what it is given.
export { DnsServer, type DnsServerDeps, type DnsServerOptions } from './server/dns-server.ts';
export { CorefileFault } from './corefile/load.ts';
export { systemClock, type Clock } from '../src/base/clock.ts';
export { createLogger, silentLogger, type Logger } from '../src/base/log.ts';
export { Registry } from '../src/base/metrics.ts';
