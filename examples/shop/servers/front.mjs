// The shop window: one page, filled from the API.
import { me, serve } from './serve.mjs';

const api = process.env.API_URL ?? 'http://127.0.0.1:8080';

serve(async (request, response, url) => {
  if (url.pathname !== '/') {
    response.writeHead(404, { 'content-type': 'text/plain' });
    return response.end(`nothing at ${url.pathname}\n`);
  }
  const answer = await fetch(`${api}/api/products`, { signal: AbortSignal.timeout(2000) });
  const { products, servedBy } = await answer.json();
  const rows = products.map(({ name, price }) => `<tr><td>${name}</td><td>${price.toFixed(2)}</td></tr>`).join('\n');
  const page = `<!doctype html>
<title>The shop</title>
<h1>The shop</h1>
<table>
${rows}
</table>
<p>page by ${me}, prices by ${servedBy}</p>
`;
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(page) });
  response.end(page);
});
