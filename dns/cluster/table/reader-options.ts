export interface ReaderZone {
  /** Folded wire form, the root label included. */
  readonly wire: Uint8Array;
  readonly labels: number;
  /** False: everything below goes to the slow path. */
  readonly fast: boolean;
  /** NXDOMAIN may mean that another plugin knows the name. */
  readonly fallsThrough: boolean;
}

/** What a reader must know besides the table; plain data, can be sent to a thread. */
export interface ReaderOptions {
  /** Longest first. */
  readonly zones: readonly ReaderZone[];
  readonly ttlSeconds: number;
  readonly soaTtlSeconds: number;
  readonly soaMinimumSeconds: number;
  /** Start big answers at another record each time. */
  readonly rotate: boolean;
  /** Echo the client's UDP size. */
  readonly strict: boolean;
}
