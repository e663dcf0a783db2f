/**
 * TLS handshakes of both engines of `weft ingress` beside nginx and haproxy, in one run: CPU per handshake, full and resumed (each
 * with one request). Run: node bench/ingress/handshakes.ts [seconds]
 */
import tls from 'node:tls';
import { perUnit, type Proxy, Stage, startBackend, startHaproxy, startNginx, startWeft } from './stage.ts';

const seconds = Number(process.argv[2] ?? 4);
const PARALLEL = 16;

/** One connection with one request; gives the session for the next one. */
function visit(
  proxy: Proxy,
  session: Buffer | undefined,
): Promise<{ session: Buffer | undefined; reused: boolean }> {
  return new Promise((resolve, reject) => {
    let ticket = session;
    const socket = tls.connect({
      host: proxy.address,
      port: proxy.https,
      servername: 'bench.test',
      rejectUnauthorized: false,
      ...(session && { session }),
    });
    socket.on('session', (given) => (ticket = given));
    socket.on('secureConnect', () =>
      socket.write('GET /api/thing HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n'),
    );
    socket.on('data', () => {});
    socket.on('end', () => {
      resolve({ session: ticket, reused: socket.isSessionReused() });
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

async function load(proxy: Proxy, resume: boolean): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  let reused = 0;
  const worker = async (): Promise<void> => {
    let session: Buffer | undefined;
    while (performance.now() < end) {
      const visited = await visit(proxy, resume ? session : undefined);
      session = visited.session;
      count++;
      if (visited.reused) reused++;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  if (resume && reused < count * 0.9)
    throw new Error(`${proxy.name}: only ${reused} of ${count} were resumed`);
  return count;
}

using stage = new Stage();
await startBackend(stage, 128);
const proxies = [
  await startWeft(stage, [], [], 'native'),
  await startWeft(stage),
  await startNginx(stage),
  await startHaproxy(stage),
];
for (const proxy of proxies) {
  for (const resume of [false, true]) {
    await load(proxy, resume);
    const { microseconds, units } = await perUnit(proxy, () => load(proxy, resume));
    const kind = resume ? 'resumed' : 'full';
    process.stdout.write(
      `${proxy.name} ${kind}: ${microseconds} us CPU a handshake, ${Math.round(1e6 / microseconds)} a second of one core (${units} done)\n`,
    );
  }
}
