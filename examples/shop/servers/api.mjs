// The API: products, an echo of what arrived, and an answer that takes its time.
import { setTimeout as wait } from 'node:timers/promises';
import { me, sendJson, serve } from './serve.mjs';

const products = [
  { name: 'weft thread, red', price: 4.2 },
  { name: 'weft thread, blue', price: 4.2 },
  { name: 'shuttle', price: 18.5 },
  { name: 'loom', price: 1290 },
];

serve(async (request, response, url) => {
  if (url.pathname === '/api/products') return sendJson(response, 200, { products, servedBy: me });
  if (url.pathname === '/api/echo') {
    const { method, headers, socket } = request;
    return sendJson(response, 200, { method, path: url.pathname, headers, from: socket.remoteAddress, servedBy: me });
  }
  if (url.pathname === '/api/slow') {
    await wait(Math.min(10_000, Number(url.searchParams.get('ms') ?? 1000)));
    return sendJson(response, 200, { servedBy: me });
  }
  return sendJson(response, 404, { error: `nothing at ${url.pathname}` });
});
