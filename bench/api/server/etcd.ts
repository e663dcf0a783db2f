import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';

const START_TRIES = 100;

/** One etcd member over TLS, as Debian ships it: each put is synced before it is answered. */
export class EtcdProcess implements AsyncDisposable {
  readonly folder: string;
  readonly url: string;
  readonly #child: ChildProcess;

  /** @param folder where the data goes: the disk to compare with */
  static async start(folder: string): Promise<EtcdProcess> {
    const [client, peer] = await Promise.all([freePort(), freePort()]);
    const etcd = new EtcdProcess(folder, `https://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`);
    for (let tries = 0; !(await accepts(client)); tries++) {
      if (tries === START_TRIES) throw new Error('etcd does not start');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return etcd;
  }

  private constructor(folder: string, url: string, peer: string) {
    this.folder = folder;
    this.url = url;
    const urls = ['--listen-client-urls', url, '--advertise-client-urls', url, '--auto-tls'];
    const peers = ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer];
    const data = ['--data-dir', join(folder, 'etcd'), '--initial-cluster', `default=${peer}`];
    this.#child = spawn('etcd', [...urls, ...peers, ...data, '--log-level', 'error'], { stdio: 'ignore' });
  }

  /** CPU time so far, ms. */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill();
    await gone;
  }
}

/** etcdserverpb.PutRequest as one gRPC message. */
export function putMessage(key: string, valueBytes: number): Buffer {
  const field = (tag: number, value: Buffer): Buffer =>
    Buffer.concat([Buffer.from([tag]), varint(value.length), value]);
  const request = Buffer.concat([field(0x0a, Buffer.from(key)), field(0x12, Buffer.alloc(valueBytes, 'x'))]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(request.length, 1);
  return Buffer.concat([head, request]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
