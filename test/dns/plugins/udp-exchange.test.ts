import { expect, it } from 'vitest';
import { UdpExchange } from '../../../dns/plugins/forward/udp-exchange.ts';
import { systemClock } from '../../../src/base/clock.ts';

it('an upstream that cannot be reached at all is the system error, and the next question may try again', async () => {
  // The kernel refuses to connect to the broadcast address, as it does where there is no route.
  using exchange = new UdpExchange(
    { clock: systemClock },
    { address: '255.255.255.255', port: 53 },
    undefined,
  );
  const never = new AbortController().signal;
  for (let i = 0; i < 3; i++)
    await expect(exchange.ask(new Uint8Array(12), () => true, 1000, never)).rejects.toThrow(/connect E/);
});
