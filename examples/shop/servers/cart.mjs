// Shopping carts, kept in a file of this replica's own: GET, PUT and DELETE /carts/NAME.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { me, sendJson, serve } from './serve.mjs';

const folder = process.env.DATA_DIR ?? 'carts';
const BODY_MAX_BYTES = 64 * 1024;

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_MAX_BYTES) throw new Error('cart too large');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

await mkdir(folder, { recursive: true });
serve(async (request, response, url) => {
  const name = /^\/carts\/([a-z0-9-]{1,40})$/.exec(url.pathname)?.[1];
  if (!name) return sendJson(response, 404, { error: 'use /carts/NAME', servedBy: me });
  const file = join(folder, `${name}.json`);
  if (request.method === 'PUT') {
    await writeFile(file, JSON.stringify(await bodyOf(request)));
    return sendJson(response, 200, { stored: name, servedBy: me });
  }
  if (request.method === 'DELETE') {
    await rm(file, { force: true });
    return sendJson(response, 200, { removed: name, servedBy: me });
  }
  const items = await readFile(file, 'utf8').catch(() => undefined);
  if (items === undefined) return sendJson(response, 404, { error: `no cart ${name}`, servedBy: me });
  return sendJson(response, 200, { items: JSON.parse(items), servedBy: me });
});
