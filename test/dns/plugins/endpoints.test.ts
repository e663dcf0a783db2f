import { get } from 'node:http';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { TestFolder } from '../support/folder.ts';
import { ask, openServer, type TestServer } from '../support/server.ts';

interface Page {
  readonly status: number | undefined;
  readonly body: string;
}

/** What a page of the server says; the log tells where its endpoints are. */
async function page(on: TestServer, endpoint: string, path: string): Promise<Page> {
  const { fields } = on.logs.find(({ event }) => event === `${endpoint} endpoint`)!;
  return await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: Number(fields['port']), path };
    get(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() }),
      );
    }).on('error', reject);
  });
}

const metrics = async (on: TestServer): Promise<string> => (await page(on, 'metrics', '/metrics')).body;

describe('prometheus', () => {
  it('tells of the process as every client of Prometheus does', async () => {
    await using on = await openServer('. {\nprometheus 127.0.0.1:0\nwhoami\n}');
    const text = await metrics(on);
    const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(value('process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(value('process_open_fds')).toBeGreaterThan(5);
    expect(value('process_max_fds')).toBeGreaterThan(100);
    expect(Math.abs(value('process_start_time_seconds') - Date.now() / 1000)).toBeLessThan(7200);
    expect(text).not.toContain('nodejs_');
  });

  it('tells of the runtime when asked to', async () => {
    await using on = await openServer('. {\nprometheus 127.0.0.1:0 {\nruntime_metrics\n}\nwhoami\n}');
    expect(await metrics(on)).toMatch(/^nodejs_heap_size_used_bytes \d+$/m);
  });

  it('tells which plugins a block has, as the Corefile of the moment says', async () => {
    using folder = new TestFolder();
    const file = (lines: string): string => `x.org {\nprometheus 127.0.0.1:0\n${lines}\n}`;
    folder.write('Corefile', file('log\nwhoami'));
    await using on = await openServer('', { corefile: { path: folder.at('Corefile') } });
    const enabled = async (): Promise<string[]> =>
      Array.from(
        (await metrics(on)).matchAll(
          /^coredns_plugin_enabled\{.*zone="x\.org\.",view="",name="(\w+)"\} 1$/gm,
        ),
        ([, name]) => name!,
      ).sort();
    expect(await enabled()).toEqual(['log', 'prometheus', 'whoami']);
    folder.write('Corefile', file('erratic'));
    expect(await on.server.reload()).toBe(true);
    await waitFor('the old block to go', async () => (await enabled()).join() === 'erratic,prometheus');
  });
});

describe('health', () => {
  it('asks itself once a second and tells how long that takes', async () => {
    const clock = new FakeClock();
    await using on = await openServer('. {\nhealth 127.0.0.1:0\nprometheus 127.0.0.1:0\nwhoami\n}', {
      clock,
    });
    await waitFor(
      'two answers',
      async () => {
        await clock.advance(1000);
        return /^coredns_health_request_duration_seconds_count ([2-9]|\d\d+)$/m.test(await metrics(on));
      },
      20_000,
    );
    expect(await metrics(on)).toMatch(/^coredns_health_request_failures_total 0$/m);
    expect(await page(on, 'health', '/health')).toEqual({ status: 200, body: 'OK' });
  });
});

describe('ready', () => {
  const cluster = 'kubernetes {\nstartup_timeout 1h\n}';

  it('speaks for the blocks that have it, and for no others', async () => {
    const file = `a.local {\nready 127.0.0.1:0\nwhoami\n}\nb.local {\n${cluster}\n}`;
    await using on = await openServer(file, { clock: new FakeClock() });
    expect(await page(on, 'readiness', '/ready')).toEqual({ status: 200, body: 'OK' });
  });
});

describe('hosts', () => {
  it.each([
    ['A', 'NOERROR', '10.0.0.1'],
    ['TXT', 'SERVFAIL', undefined],
  ])('hands %s on where fallthrough_unsupported says so', async (type, rcode, address) => {
    const file = '. {\nhosts {\n10.0.0.1 x.org\nfallthrough\nfallthrough_unsupported\n}\n}';
    await using on = await openServer(file);
    const reply = await ask(on, `x.org. ${type}`);
    expect([reply.rcode, reply.answers[0]?.data]).toEqual([rcode, address && { address }]);
  });

  it('answers NODATA without it', async () => {
    await using on = await openServer('. {\nhosts {\n10.0.0.1 x.org\nfallthrough\n}\n}');
    expect(await ask(on, 'x.org. TXT')).toMatchObject({ rcode: 'NOERROR', answers: [] });
  });
});
