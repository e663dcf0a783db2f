import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { replyTo, type Message } from '../../../dns/wire/message.ts';
import type { Rcode } from '../../../dns/wire/numbers.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { CannedUpstream, recordOf } from '../support/canned-upstream.ts';
import { answers, ask, openServer } from '../support/server.ts';

const says = (rcode: Rcode, address?: string) => (request: Message) => {
  const name = request.questions[0]!.name;
  return replyTo(request, {
    rcode,
    answers: address === undefined ? [] : [recordOf(`${name} 60 IN A ${address}`)],
  });
};

describe('forward', () => {
  it('finds upstreams by name, with the resolver it is told', async () => {
    await using upstream = await CannedUpstream.open(says('NOERROR', '192.0.2.1'));
    await using resolver = await CannedUpstream.open((request) =>
      request.questions[0]!.type === 'A'
        ? replyTo(request, { answers: [recordOf('up.example.org. 60 IN A 127.0.0.1')] })
        : replyTo(request),
    );
    await using on = await openServer(
      `. {\nforward . up.example.org:${upstream.port} {\nresolver 127.0.0.1:${resolver.port}\n}\n}`,
    );
    expect(answers(await ask(on, 'www.x. A'))).toEqual(['www.x. 60 IN A 192.0.2.1']);
    expect(resolver.asked.map(({ questions }) => questions[0]!.type).sort()).toEqual(['A', 'AAAA']);
  });

  it('does not start with an upstream whose name is unknown', async () => {
    await using resolver = await CannedUpstream.open(says('NXDOMAIN'));
    const file = `. {\nforward . up.example.org {\nresolver 127.0.0.1:${resolver.port}\n}\n}`;
    await expect(openServer(file)).rejects.toMatchObject({ code: 'UPSTREAM_UNKNOWN' });
  });

  it('asks each upstream once for an answer that fails over, and gives the last', async () => {
    await using first = await CannedUpstream.open(says('SERVFAIL'));
    await using second = await CannedUpstream.open(says('REFUSED'));
    const to = `127.0.0.1:${first.port} 127.0.0.1:${second.port}`;
    await using on = await openServer(
      `. {\nforward . ${to} {\npolicy sequential\nfailover SERVFAIL REFUSED\n}\n}`,
    );
    expect((await ask(on, 'x. A')).rcode).toBe('REFUSED');
    expect([first.asked.length, second.asked.length]).toEqual([1, 1]);
  });

  it.each([
    ['next NXDOMAIN', 'NXDOMAIN'],
    ['next_on_nodata', 'NOERROR'],
  ] as const)('%s asks the forwarder behind', async (option, rcode) => {
    await using first = await CannedUpstream.open(says(rcode));
    await using second = await CannedUpstream.open(says('NOERROR', '192.0.2.2'));
    await using on = await openServer(
      `. {\nforward . 127.0.0.1:${first.port} {\n${option}\n}\nforward . 127.0.0.1:${second.port}\n}`,
    );
    expect(answers(await ask(on, 'x. A'))).toEqual(['x. 60 IN A 192.0.2.2']);
  });

  it('gives the answer itself where no forwarder follows that next could mean', async () => {
    await using upstream = await CannedUpstream.open(says('NXDOMAIN'));
    await using on = await openServer(
      `. {\nforward . 127.0.0.1:${upstream.port} {\nnext NXDOMAIN\n}\nwhoami\n}`,
    );
    expect((await ask(on, 'x. A')).rcode).toBe('NXDOMAIN');
  });

  it.each([
    ['', 4],
    ['max_connect_attempts 1', 1],
    ['max_connect_attempts 3', 3],
    ['max_connect_attempts 0', 100],
  ])('asks upstreams that hang up so often with "%s": %i', async (option, tries) => {
    await using first = await HangsUp.open();
    await using second = await HangsUp.open();
    await using on = await openServer(
      `. {\nforward . 127.0.0.1:${first.port} 127.0.0.1:${second.port} {\nforce_tcp\nmax_fails 0\n${option}\n}\n}`,
    );
    expect((await ask(on, 'x. A')).rcode).toBe('SERVFAIL');
    expect(first.connections + second.connections).toBe(tries);
  });

  it('gives an upstream as long as read_timeout says', async () => {
    const clock = new FakeClock();
    await using upstream = await CannedUpstream.open(() => undefined);
    await using on = await openServer(
      `. {\nforward . 127.0.0.1:${upstream.port} {\nread_timeout 9s\nmax_fails 0\nmax_connect_attempts 1\n}\n}`,
      { clock },
    );
    let reply: Message | undefined;
    void ask(on, 'x. A').then((message) => (reply = message));
    await waitFor('the question', () => upstream.asked.length === 1);
    await clock.advance(8900);
    expect(reply).toBeUndefined();
    await clock.advance(200);
    await waitFor('the failure', () => reply !== undefined);
    expect(reply?.rcode).toBe('SERVFAIL');
  });

  it('tells who answered as a fact', async () => {
    await using upstream = await CannedUpstream.open(says('NOERROR', '192.0.2.1'));
    await using on = await openServer(
      `. {\nmetadata\nlog . "{/forward/upstream}"\nforward . 127.0.0.1:${upstream.port}\n}`,
    );
    await ask(on, 'x. A');
    expect(on.logs.map(({ event }) => event)).toContain(`127.0.0.1:${upstream.port}`);
  });

  it('opens a new connection when the old one has gone silent, and when it is too old', async () => {
    let silent = false;
    await using upstream = await CannedUpstream.open((request) =>
      silent ? undefined : says('NOERROR', '192.0.2.1')(request),
    );
    const clock = new FakeClock();
    await using on = await openServer(
      `. {\nforward . 127.0.0.1:${upstream.port} {\nforce_tcp\nmax_fails 0\nexpire 30s\nmax_age 60s\n}\n}`,
      { clock },
    );
    const connections = async (): Promise<number> =>
      Number(/conn_cache_misses_total\{[^}]*\} (\d+)/.exec(await on.metrics.metrics())?.[1] ?? 0);
    for (const name of ['a.', 'b.']) expect((await ask(on, `${name} A`)).rcode).toBe('NOERROR');
    expect(await connections()).toBe(1);
    silent = true;
    const failed = ask(on, 'c. A');
    for (const asked of [3, 4]) {
      await waitFor('the question', () => upstream.asked.length === asked);
      await clock.advance(2001);
    }
    expect((await failed).rcode).toBe('SERVFAIL');
    silent = false;
    expect((await ask(on, 'd. A')).rcode).toBe('NOERROR');
    expect(await connections()).toBe(3);
    for (let i = 0; i < 3; i++) {
      await clock.advance(25_000);
      expect((await ask(on, `e${i}. A`)).rcode).toBe('NOERROR');
    }
    expect(await connections()).toBe(4);
  });
});

/** Takes connections and closes them without a word. */
class HangsUp implements AsyncDisposable {
  readonly #server = createServer((socket) => {
    this.connections++;
    socket.on('error', () => {}); // reset by the other side
    socket.destroy();
  });
  connections = 0;

  static async open(): Promise<HangsUp> {
    const one = new HangsUp();
    await new Promise<void>((resolve) => one.#server.listen(0, '127.0.0.1', resolve));
    return one;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }
}
