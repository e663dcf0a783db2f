// The owner's page: who runs this, since when, with how much memory.
import { me, sendJson, serve } from './serve.mjs';

serve((request, response) => {
  const { rss } = process.memoryUsage();
  sendJson(response, 200, {
    servedBy: me,
    node: process.env.NODE_NAME,
    version: process.version,
    upSeconds: Math.round(process.uptime()),
    residentMiB: Math.round(rss / 2 ** 20),
  });
});
