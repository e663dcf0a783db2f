import { describe, expect, it } from 'vitest';
import { decodeMessage } from '../../../dns/wire/decode.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { replyTo } from '../../../dns/wire/message.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { CannedUpstream, recordOf } from '../support/canned-upstream.ts';
import { DnstapReceiver } from '../support/dnstap-receiver.ts';
import { TestFolder } from '../support/folder.ts';
import { ask, askAll, openServer, questionOf } from '../support/server.ts';
import { askUdp } from '../support/wire-client.ts';

const READY = 'READY protobuf:dnstap.Dnstap';
const START = 'START protobuf:dnstap.Dnstap';

describe('dnstap', () => {
  it('tells a receiver on a unix socket of questions and answers, and says goodbye', async () => {
    using folder = new TestFolder();
    await using receiver = await DnstapReceiver.open({ path: folder.at('tap.sock') });
    const clock = new FakeClock(Date.UTC(2026, 10, 21, 12, 0, 0, 250));
    {
      await using on = await openServer(
        `example.org {\ndnstap ${folder.at('tap.sock')} full {\nidentity rack7\nversion v1\nextra "{type}!"\n}\nwhoami\n}`,
        { clock },
      );
      const request = questionOf('x.example.org. A');
      const reply = await askUdp(on.udp, encodeMessage(request));
      await waitFor('two messages', () => receiver.messages.length === 2);
      const [asked, answered] = receiver.messages;
      expect(asked).toMatchObject({ identity: 'rack7', version: 'v1', extra: 'A!' });
      expect(asked?.message).toMatchObject({
        type: 'CLIENT_QUERY',
        socket_family: 'INET',
        socket_protocol: 'UDP',
        response_port: on.udp.port,
        query_time_sec: Date.UTC(2026, 10, 21, 12) / 1000,
        query_time_nsec: 250_000_000,
      });
      const bytesOf = (message: Readonly<Record<string, unknown>> | undefined, field: string): Buffer =>
        Buffer.from((message?.[field] ?? []) as Uint8Array);
      expect([...bytesOf(asked?.message, 'query_address')]).toEqual([127, 0, 0, 1]);
      expect(bytesOf(asked?.message, 'query_zone').toString('latin1')).toBe('\x07example\x03org\0');
      expect(decodeMessage(bytesOf(asked?.message, 'query_message'))).toMatchObject({
        ok: true,
        message: { questions: request.questions },
      });
      expect(answered?.message).toMatchObject({ type: 'CLIENT_RESPONSE', response_time_nsec: 250_000_000 });
      expect(bytesOf(answered?.message, 'response_message').equals(Buffer.from(reply))).toBe(true);
    }
    expect(receiver.controls).toEqual([READY, START, 'STOP']);
  });

  it('leaves the messages out without full, over TCP', async () => {
    await using receiver = await DnstapReceiver.open({ port: 0 });
    await using on = await openServer(`. {\ndnstap tcp://127.0.0.1:${receiver.port}\nwhoami\n}`);
    await ask(on, 'x. A', { client: '2001:db8::1', transport: 'tcp' });
    await waitFor('two messages', () => receiver.messages.length === 2);
    expect(receiver.messages[0]?.message).toMatchObject({ socket_family: 'INET6', socket_protocol: 'TCP' });
    expect(receiver.messages[0]?.message).not.toHaveProperty('query_message');
  });

  it('says only the question when nothing was answered', async () => {
    await using receiver = await DnstapReceiver.open({ port: 0 });
    await using on = await openServer(
      `. {\ndnstap tcp://127.0.0.1:${receiver.port}\nacl {\ndrop type A\n}\nwhoami\n}`,
    );
    await askAll(on, 'x. A');
    await ask(on, 'x. MX');
    await waitFor('three messages', () => receiver.messages.length === 3);
    expect(receiver.messages.map(({ message }) => message['type'])).toEqual([
      'CLIENT_QUERY',
      'CLIENT_QUERY',
      'CLIENT_RESPONSE',
    ]);
  });

  it('waits for a receiver that comes later, and comes back to one that went', async () => {
    using folder = new TestFolder();
    const clock = new FakeClock();
    await using on = await openServer(`. {\ndnstap ${folder.at('tap.sock')}\nwhoami\n}`, { clock });
    await ask(on, 'a. A');
    await waitFor('the failure', () => on.logs.some(({ event }) => event === 'dnstap receiver not reached'));
    for (const name of ['first', 'second']) {
      await using receiver = await DnstapReceiver.open({ path: folder.at('tap.sock') });
      await waitFor(
        `the ${name} receiver to be found`,
        async () => {
          await clock.advance(1001);
          return receiver.controls.includes(START);
        },
        20_000,
      );
      await ask(on, 'b. A');
      await waitFor('messages', () => receiver.messages.length >= 2);
    }
  });

  it('drops and counts what waits beyond the queue, and goes on answering', async () => {
    const clock = new FakeClock();
    using folder = new TestFolder();
    await using on = await openServer(`. {\ndnstap ${folder.at('nobody.sock')}\nwhoami\n}`, { clock });
    for (let i = 0; i < 5003; i++) expect((await ask(on, 'a. A')).rcode).toBe('NOERROR');
    expect(await on.metrics.metrics()).toMatch(/weft_dns_dnstap_dropped_total\{server="dns:\/\/[^"]*"\} 6/);
    await clock.advance(10_001);
    const warned = on.logs.find(({ event }) => event === 'dnstap messages dropped');
    expect(warned?.fields['count']).toBe(6);
  });

  it('tells of questions to other servers and their answers', async () => {
    await using upstream = await CannedUpstream.open((request) =>
      replyTo(request, { answers: [recordOf('x. 60 IN A 192.0.2.1')] }),
    );
    await using receiver = await DnstapReceiver.open({ port: 0 });
    await using on = await openServer(
      `. {\ndnstap tcp://127.0.0.1:${receiver.port} full\nforward . 127.0.0.1:${upstream.port}\n}`,
    );
    await ask(on, 'x. A');
    await waitFor('four messages', () => receiver.messages.length === 4);
    const [asked, answered] = receiver.messages.map(({ message }) => message);
    expect(asked).toMatchObject({
      type: 'FORWARDER_QUERY',
      socket_family: 'INET',
      socket_protocol: 'UDP',
      response_port: upstream.port,
    });
    expect(asked?.['query_port']).toBeGreaterThan(0);
    const bytes = Buffer.from((answered?.['response_message'] ?? []) as Uint8Array);
    expect(decodeMessage(bytes)).toMatchObject({ ok: true, message: { answers: [{ type: 'A' }] } });
    expect(receiver.messages.map(({ message }) => message['type'])).toEqual([
      'FORWARDER_QUERY',
      'FORWARDER_RESPONSE',
      'CLIENT_QUERY',
      'CLIENT_RESPONSE',
    ]);
  });

  it('lets receivers come to it, on the same socket across a reload', async () => {
    using folder = new TestFolder();
    const file = (name: string): string =>
      `. {\ndnstap listen ${folder.at('tap.sock')} {\nidentity ${name}\n}\nwhoami\n}`;
    folder.write('Corefile', file('one'));
    await using on = await openServer('', { corefile: { path: folder.at('Corefile') } });
    await using receiver = await DnstapReceiver.visit({ path: folder.at('tap.sock') });
    await waitFor('the handshake', () => receiver.controls.includes(START));
    await ask(on, 'a. A');
    folder.write('Corefile', file('two'));
    expect(await on.server.reload()).toBe(true);
    await ask(on, 'b. A');
    await waitFor('the messages', () => receiver.messages.length === 4);
    expect(receiver.messages.map(({ identity }) => identity)).toEqual(['one', 'one', 'two', 'two']);
    await on[Symbol.asyncDispose]();
    expect(receiver.controls).toEqual([READY, START, 'STOP']);
  });

  it('leaves a receiver of something else alone', async () => {
    await using receiver = await DnstapReceiver.open({ port: 0 }, 'protobuf:other');
    await using on = await openServer(`. {\ndnstap tcp://127.0.0.1:${receiver.port}\nwhoami\n}`);
    await ask(on, 'a. A');
    await waitFor('the log', () =>
      on.logs.some(({ fields }) => fields['reason'] === 'the receiver does not take dnstap'),
    );
    expect(receiver.messages).toEqual([]);
  });

  it.each([
    ['dnstap', 'Corefile:2:1: dnstap takes 1 to 4 argument(s), 0 given'],
    ['dnstap listen', 'Corefile:2:1: dnstap takes 2 to 3 argument(s), 1 given'],
    ['dnstap listen /x full 1', 'Corefile:2:23: dnstap takes 2 to 3 argument(s), 4 given'],
    ['dnstap listen tls://127.0.0.1:6000', 'Corefile:2:1: a tls:// address needs "tls CERT KEY [CA]"'],
    ['dnstap udp://1.1.1.1:5', 'Corefile:2:8: "udp://1.1.1.1:5" is not a path, unix://PATH, tcp://HOST:PORT'],
    ['dnstap /x full 0', 'Corefile:2:16: "0" is not a whole number from 1 to 1024'],
    [
      'dnstap /x {\n identiy a\n}',
      'Corefile:3:2: unknown option "identiy" of dnstap; did you mean "identity"?',
    ],
  ])('refuses %j', async (text, fault) => {
    await expect(openServer(`. {\n${text}\n}`)).rejects.toThrow(fault);
  });
});
