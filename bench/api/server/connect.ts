/** `node connect.ts URL CA-FILE TOKEN CLIENTS`: one GET on a new TLS connection each, as fast as they are answered. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';

const [url = '', caFile = '', token = '', clients = '1'] = process.argv.slice(2);
const ca = readFileSync(caFile);
const headers = { authorization: `Bearer ${token}`, connection: 'close' };

const once = (): Promise<void> =>
  new Promise((resolve) => {
    const sent = request(url, { ca, headers, agent: false }, (reply) => reply.resume());
    sent.on('error', () => {});
    sent.on('close', resolve);
    sent.end();
  });

await Promise.all(
  Array.from({ length: Number(clients) }, async () => {
    for (;;) await once();
  }),
);
