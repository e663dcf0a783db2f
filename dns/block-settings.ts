import type { ClusterOptions } from './cluster/options.ts';
import type { TsigAlgorithm } from './wire/tsig.ts';
import type { Query } from './query.ts';

/** A shared secret (`tsig`). */
export interface TsigSecret {
  /** Absolute and folded. */
  readonly name: string;
  readonly secret: Uint8Array;
  /** Undefined: that of the client. */
  readonly algorithm: TsigAlgorithm | undefined;
}

/** One key of a server block: where its zone is served. */
export interface ServerKey {
  /** Absolute and folded. */
  readonly zone: string;
  readonly scheme: 'dns' | 'tls' | 'https';
  readonly port: number;
}

/**
 * What a server block says of itself. A block has one chain for all of its keys. Directives such as `bind` and
 * `tls` write here during setup.
 */
export interface BlockSettings {
  readonly keys: readonly ServerKey[];
  /** The zones of the keys, in order, each once. */
  readonly zones: readonly string[];
  readonly bind: Bind[];
  tls: TlsFiles | undefined;
  /** All must hold for the block to be chosen (`view`). */
  readonly filters: { readonly name: string; readonly test: (query: Query) => boolean }[];
  debug: boolean;
  /** Where relative paths start (`root`); undefined = the folder of the Corefile. */
  root: string | undefined;
  readonly transport: TransportSettings;
  /** Told of each question over UDP that is dropped because too many are under way; undefined = it is answered. */
  shed: (() => void) | undefined;
  /** Keys of the whole server (`tsig`). */
  readonly tsigSecrets: TsigSecret[];
  /** What the block wants to know of the cluster; undefined = nothing. For whoever feeds the snapshot. */
  cluster: ClusterNeeds | undefined;
}

/** One `bind`: addresses and interfaces to listen on, and those of them to leave out. */
export interface Bind {
  readonly hosts: readonly string[];
  readonly except: readonly string[];
}

/** How the sockets of a block behave; undefined = as dns/limits.ts says. Blocks that share a port share these. */
export interface TransportSettings {
  /** A question that has begun to arrive over a connection must be whole within this. */
  readMs: number | undefined;
  /** A client must take something of its answers within this. */
  writeMs: number | undefined;
  /** A connection without questions is closed after this. */
  idleMs: number | undefined;
  /** Questions of one TCP or TLS connection; it is closed with the last answer. */
  queriesMax: number | undefined;
  httpsConnections: number | undefined;
  /** UDP sockets a port. */
  sockets: number | undefined;
}

/** Which objects a `kubernetes` stanza answers from and how it says the API is reached. */
export interface ClusterNeeds {
  readonly pods: boolean;
  readonly imports: boolean;
  /** For the watches of services, slices and pods. */
  readonly labelSelector: string | undefined;
  /** What is exposed, and how. */
  readonly options: ClusterOptions;
  readonly api: ApiAccess;
}

export interface ApiAccess {
  readonly endpoint: string | undefined;
  /** Certificate, key and CA files. */
  readonly tls: readonly string[];
  readonly kubeconfig: string | undefined;
  readonly kubeconfigContext: string | undefined;
  readonly queriesPerSecond: number | undefined;
  readonly burst: number | undefined;
  readonly maxInflight: number | undefined;
}

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string | undefined;
  /** Secrets of the sessions are written here, for those who must read the traffic (debugging). */
  readonly keyLogFile: string | undefined;
  readonly clientAuth: 'nocert' | 'request' | 'require' | 'verify_if_given' | 'require_and_verify';
}
