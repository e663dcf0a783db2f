import { createServer, type RequestListener, type Server } from 'node:http';

/** A small HTTP listener for health; closing does not wait for idle connections. */
export interface HttpListener extends AsyncDisposable {
  /** The port it got, for port 0. */
  readonly port: number;
}

/** Rejects with the bind's error. An undefined address listens on all of both families. */
export async function openHttpListener(
  handler: RequestListener,
  options: { readonly address: string | undefined; readonly port: number; readonly ipv6Only?: boolean },
): Promise<HttpListener> {
  const server = createServer({ keepAliveTimeout: 1_000, requestTimeout: 5_000 }, handler);
  await listening(server, options);
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound ? bound.port : options.port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listening(
  server: Server,
  { address, port, ipv6Only }: { address: string | undefined; port: number; ipv6Only?: boolean },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const where = { port, ...(address !== undefined && { host: address }), ipv6Only: ipv6Only ?? false };
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
