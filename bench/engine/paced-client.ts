/**
 * Sends 1 KB at a fixed rate on kept connections, whether or not it came back, and prints how long each took from when it was
 * due, as JSON. Arguments: address port rate seconds connections
 */
import { connect, type Socket } from 'node:net';

const [address = '127.0.0.1', ...numbers] = process.argv.slice(2);
const [port = 0, rate = 1, seconds = 1, connections = 1] = numbers.map(Number);
const MESSAGE = Buffer.alloc(1_024, 'x');
const LAST_MS = 2_000;
const took: number[] = [];

/** One that answers in order; what is due waits in its queue. */
class KeptConnection {
  readonly #due: number[] = [];
  #receivedBytes = 0;
  readonly #socket: Socket;

  constructor() {
    this.#socket = connect({ host: address, port, noDelay: true });
    this.#socket.on('data', (chunk) => {
      this.#receivedBytes += chunk.length;
      for (; this.#receivedBytes >= MESSAGE.length; this.#receivedBytes -= MESSAGE.length)
        took.push(performance.now() - (this.#due.shift() ?? 0));
    });
    this.#socket.on('error', () => {});
  }

  ask(dueMs: number): void {
    this.#due.push(dueMs);
    this.#socket.write(MESSAGE);
  }
}

const kept = Array.from({ length: connections }, () => new KeptConnection());
const startMs = performance.now();
let sent = 0;

function tick(): void {
  const now = performance.now() - startMs;
  for (; sent < Math.min(now, seconds * 1_000) * (rate / 1_000); sent++) {
    kept[sent % connections]?.ask(startMs + sent / (rate / 1_000));
  }
  if (now < seconds * 1_000) setImmediate(tick);
  else setTimeout(() => process.stdout.write(JSON.stringify(took), () => process.exit(0)), LAST_MS);
}

tick();
