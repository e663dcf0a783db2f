import { expect, test } from 'vitest';
import { hostAddresses } from '../../proxy/host-addresses.ts';
import { cannotSendPackets } from '../netns/can-send-packets.ts';
import { NetworkNamespace } from '../support/network-namespace.ts';

test('a host is known by every address that others may use, those of its loopback device last', (context) => {
  const reason = cannotSendPackets();
  if (reason !== undefined) context.skip(reason);
  using host = new NetworkNamespace();
  host.ip([
    'link set lo up',
    'addr add 192.0.2.1/32 dev lo',
    'addr add 2001:db8::1/128 dev lo nodad',
    'addr add 127.0.0.53/8 dev lo',
    'link add w0 type veth peer name w1',
    'link set w0 up',
    'link set w1 up',
    'addr add 198.51.100.1/24 dev w0',
    'addr add fe80::1/64 dev w0 nodad',
  ]);
  using _inside = host.enter();
  expect(hostAddresses()).toEqual(['198.51.100.1', '192.0.2.1', '2001:db8::1']);
});
