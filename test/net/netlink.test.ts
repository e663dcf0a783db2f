import '../support/property-seed.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attributeAt, attributesOf, MessageWriter, parseMessages } from '../../src/net/netlink/message.ts';
import { NftElements } from '../../src/net/netlink/nft-elements.ts';
import { NETLINK, openNetlink } from '../../src/net/netlink/socket.ts';
import { NetworkNamespace } from '../support/network-namespace.ts';
import { cannotSendPackets } from '../netns/can-send-packets.ts';

const attribute = fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 300 }));

test('messages and attributes come back as they were written, however many', () => {
  fc.assert(
    fc.property(fc.array(fc.array(attribute, { maxLength: 12 }), { maxLength: 40 }), (messages) => {
      const out = new MessageWriter();
      for (const [i, attributes] of messages.entries()) {
        out.begin(100 + i, 0);
        out.nest(7, () => attributes.forEach(([type, value]) => out.bytes(type, value)));
        out.end();
      }
      const read = parseMessages(out.take());
      expect(read.map(({ type }) => type)).toEqual(messages.map((_, i) => 100 + i));
      for (const [i, { payload }] of read.entries()) {
        const inside = [...attributesOf(attributeAt(payload, [7]) ?? new Uint8Array())];
        expect(inside).toEqual(messages[i]);
      }
    }),
  );
});

test('any bytes are read without a fault and never beyond their end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      for (const { payload } of parseMessages(bytes)) [...attributesOf(payload, 4)].forEach(Boolean);
      expect([...attributesOf(bytes)].length).toBeLessThanOrEqual(100);
    }),
  );
});

test('the kernel says what it did not like, and takes the next request', async (context) => {
  const reason = cannotSendPackets();
  if (reason !== undefined) context.skip(reason);
  using namespace = new NetworkNamespace();
  using _inside = namespace.enter();
  namespace.run('nft', ['-f', '-'], 'add table ip t\nadd set ip t s { type mark; }\n');
  const key = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);
  using elements = new NftElements(openNetlink(NETLINK.NETFILTER), 'ip', 't');
  const change = (verb: 'add' | 'delete', set: string, n: number, comment?: string) =>
    elements.write([{ verb, set, elements: [{ key: key(n), ...(comment && { comment }) }] }]);
  await expect(change('add', 'nowhere', 1)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(change('delete', 's', 1)).rejects.toMatchObject({ code: 'ENOENT' });
  await change('add', 's', 1, 'digest');
  expect(await elements.comment('s', key(1))).toBe('digest');
  await expect(elements.comment('s', key(2))).rejects.toMatchObject({ code: 'ENOENT' });
  // one that fails takes the others with it
  const both = elements.write([
    { verb: 'add', set: 's', elements: [{ key: key(3) }] },
    { verb: 'delete', set: 's', elements: [{ key: key(4) }] },
  ]);
  await expect(both).rejects.toMatchObject({ code: 'ENOENT' });
  await Promise.all(Array.from({ length: 1_000 }, (_, i) => change('add', 's', 10 + i)));
  expect(namespace.run('nft', ['list', 'set', 'ip', 't', 's']).match(/0x/g)?.length).toBe(1_001);
});
