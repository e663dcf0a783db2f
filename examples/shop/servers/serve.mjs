// What every server of the shop shares: where to listen, /healthz, and how to stop without losing a request.
import { createServer } from 'node:http';

const host = process.env.HOST ?? '0.0.0.0';
const port = Number(process.env.PORT ?? 8080);
export const me = process.env.POD_NAME ?? process.env.HOSTNAME ?? 'nobody';

// Clients that hold a connection are told to let go of it for this long before it is closed.
const LINGER_MS = 500;

export function sendJson(response, status, value) {
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Listens until SIGTERM: then answers what is under way, closes connections one by one and ends with code 0. */
export function serve(handler) {
  let stopping = false;
  const server = createServer(async (request, response) => {
    if (stopping) response.setHeader('connection', 'close');
    response.once('close', () => {
      if (stopping) server.closeIdleConnections();
    });
    try {
      if (request.url === '/healthz') sendJson(response, stopping ? 503 : 200, { ok: !stopping });
      else await handler(request, response, new URL(request.url, 'http://shop'));
    } catch (error) {
      console.error(`${request.method} ${request.url}: ${error.message}`);
      if (!response.headersSent) sendJson(response, 500, { error: error.message });
      else response.destroy();
    }
  });
  const stop = () => {
    if (stopping) return;
    stopping = true;
    console.log(`${me} is stopping`);
    setTimeout(() => {
      server.close(() => process.exit(0));
      server.emit('stopping');
    }, LINGER_MS);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  server.on('error', (error) => {
    console.error(`cannot listen on ${host}:${port}: ${error.message}`);
    process.exit(1);
  });
  server.listen(port, host, () => console.log(`${me} listens on ${host}:${port}`));
  return server;
}
