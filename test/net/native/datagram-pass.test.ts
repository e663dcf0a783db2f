import { createSocket, type Socket } from 'node:dgram';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FlowTable, type PeerFlow } from '../../../proxy/userspace/native/flow-table.ts';
import { DatagramPass, type PeerName } from '../../../src/net/native/datagram-pass.ts';
import { openDatagramSocket } from '../../../src/net/native/datagram-socket.ts';
import { ERRNO } from '../../../src/net/native/errno.ts';
import '../../support/property-seed.ts';
import { waitFor } from '../../support/wait-for.ts';

const SLOTS = 4;

function bound(address: string) {
  return openDatagramSocket({ address, port: 0, reusePort: false, bufferBytes: 262_144 });
}

async function clients(address: string, count: number): Promise<Socket[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      await new Promise<void>((resolve) => socket.bind(0, address, resolve));
      return socket;
    }),
  );
}

test.each(['127.0.71.2', '::1'])(
  'peers of %s are told apart, kept by name and found again',
  async (address) => {
    using door = bound(address);
    const pass = new DatagramPass({ slots: SLOTS, slotBytes: 2_048, peers: 'senders' });
    const back = new DatagramPass({ slots: SLOTS, slotBytes: 2_048, peers: 'receivers' });
    expect(pass.receive(door.fd, 0)).toBe(-ERRNO.EAGAIN);
    const senders = await clients(address, SLOTS + 1);
    const heard = senders.map((): string[] => []);
    for (const [i, socket] of senders.entries()) {
      socket.on('message', (bytes) => heard[i]?.push(bytes.toString()));
      socket.send(String(i), door.port, address);
    }
    const seen: { address: string; port: number; name: PeerName; hash: number }[] = [];
    await waitFor('all datagrams', () => {
      const count = pass.receive(door.fd, 0);
      for (let slot = 0; slot < count; slot++) {
        expect(pass.lengthOf(slot)).toBe(1);
        const name = pass.peerName(slot);
        for (let other = 0; other < count; other++) expect(pass.isPeer(other, name)).toBe(other === slot);
        seen.push({ ...pass.peerAddress(slot), name, hash: pass.peerHash(slot) });
      }
      return seen.length === senders.length;
    });
    expect(new Set(seen.map(({ port }) => port))).toEqual(
      new Set(senders.map((each) => each.address().port)),
    );
    expect(new Set(seen.map((peer) => peer.address))).toEqual(new Set([address]));
    // one more from the first: the same name and the same number
    senders[0]?.send('again', door.port, address);
    await waitFor('another', () => pass.receive(door.fd, 0) === 1);
    const first = seen.find(({ port }) => port === senders[0]?.address().port);
    expect(first && pass.isPeer(0, first.name)).toBe(true);
    expect(pass.peerHash(0)).toBe(first?.hash);
    // answers go by name; what carries them is any socket
    using endpoint = bound(address);
    senders[0]?.send('answer', endpoint.port, address);
    await waitFor('the answer', () => back.receive(endpoint.fd, 1) === 1);
    back.setPeer(1, first!.name);
    expect(back.send(door.fd, 1, 1)).toBe(1);
    await waitFor('the answer at its peer', () => heard[0]?.length === 1);
    expect(heard[0]).toEqual(['answer']);
    for (const socket of senders) socket.close();
  },
);

test('a table finds each flow among others of the same hash, whatever came and went', async () => {
  using door = bound('127.0.71.3');
  const pass = new DatagramPass({ slots: 8, slotBytes: 64, peers: 'senders' });
  const senders = await clients('127.0.71.3', 8);
  for (const socket of senders) socket.send('x', door.port, '127.0.71.3');
  let count = 0;
  await waitFor('all datagrams', () => (count += Math.max(0, pass.receive(door.fd, count))) === 8);
  const peers = senders.map((_socket, slot) => pass.peerName(slot));
  interface Flow extends PeerFlow<Flow> {
    readonly slot: number;
  }
  const steps = fc.array(fc.nat(7), { maxLength: 40 });
  fc.assert(
    fc.property(steps, (slots) => {
      const table = new FlowTable<Flow>();
      const there = new Map<number, Flow>();
      for (const slot of slots) {
        const hash = slot % 2; // half of them collide
        const flow = there.get(slot) ?? { slot, peer: peers[slot]!, next: undefined };
        if (there.delete(slot)) table.delete(hash, flow);
        else {
          there.set(slot, flow);
          table.add(hash, flow);
        }
        for (let each = 0; each < 8; each++) expect(table.find(pass, each, each % 2)).toBe(there.get(each));
        expect(new Set(table.all())).toEqual(new Set(there.values()));
      }
    }),
  );
  for (const socket of senders) socket.close();
});
