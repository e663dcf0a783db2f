/** One HTTP request and its reply as values, the same over a socket (undici) or in-process (the API server). */
export interface HttpRequest {
  readonly method: string;
  /** Path and query, for example `/api/v1/pods?limit=500`. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Read to the end, or return() the iterator: that closes the connection or ends the watch. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Rejects only when no reply came (connect failure, abort); an HTTP error status is a reply. */
export type HttpExchange = (request: HttpRequest, signal: AbortSignal) => Promise<HttpResponse>;
