import { describe, expect, test } from 'vitest';
import type { VirtualServer } from '../../../proxy/ipvs/compile.ts';
import { ServerPlan } from '../../../proxy/ipvs/server-plan.ts';
import { ipvsLine, type IpvsChange, serverKey } from '../../../src/net/ipvs.ts';

const web = serverKey('tcp', '10.0.0.1', 80);
const dns = serverKey('udp', '10.0.0.1', 53);
const wanted = (...reals: string[]): VirtualServer => ({
  scheduler: 'rr',
  persistSeconds: 0,
  flags: '',
  reals,
});

/** What the kernel holds: one at weight 0 still has connections. */
const HELD = new Map([
  [
    web,
    {
      server: { scheduler: 'rr', persistSeconds: 0, flags: '' },
      weights: new Map([
        ['10.1.0.1:8080', 1],
        ['10.1.0.2:8080', 0],
      ]),
    },
  ],
  [
    dns,
    {
      server: { scheduler: 'mh', persistSeconds: 300, flags: 'mh-port' },
      weights: new Map([['10.1.0.1:1053', 1]]),
    },
  ],
]);

const lines = (changes: readonly IpvsChange[]): string[] => changes.map(ipvsLine);

function bring(plan: ServerPlan, key: typeof web, server: VirtualServer | undefined) {
  const { first, last } = plan.bring([key], () => server);
  return { first: lines(first), last: lines(last) };
}

describe('changes for the kernel', () => {
  test('a new server with its real servers', () => {
    const { first, last } = bring(new ServerPlan(new Map()), web, wanted('10.1.0.1:8080'));
    expect(first).toEqual(['-A -t 10.0.0.1:80 -s rr', '-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1']);
    expect(last).toEqual([]);
  });

  test('nothing when all is there', () => {
    const plan = new ServerPlan(HELD);
    expect(bring(plan, web, wanted('10.1.0.1:8080')).first).toEqual([]);
    expect(plan.draining).toEqual([web]); // the one at weight 0 still waits
  });

  test('a real server that leaves drains and is deleted when its connections have ended', () => {
    const plan = new ServerPlan(HELD);
    const { first } = bring(plan, web, wanted('10.1.0.3:8080'));
    expect(first).toEqual([
      '-a -t 10.0.0.1:80 -r 10.1.0.3:8080 -m -w 1',
      '-e -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 0',
    ]);
    expect(lines(plan.retire(web, new Map([['10.1.0.1:8080', 2]])))).toEqual([
      '-d -t 10.0.0.1:80 -r 10.1.0.2:8080',
    ]);
    expect(plan.draining).toEqual([web]);
    expect(lines(plan.retire(web, new Map()))).toEqual(['-d -t 10.0.0.1:80 -r 10.1.0.1:8080']);
    expect(plan.draining).toEqual([]);
  });

  test('a draining real server that is wanted again gets its weight back', () => {
    const plan = new ServerPlan(HELD);
    bring(plan, web, wanted());
    expect(bring(plan, web, wanted('10.1.0.1:8080')).first).toEqual([
      '-e -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1',
    ]);
    expect(lines(plan.retire(web, new Map()))).toEqual(['-d -t 10.0.0.1:80 -r 10.1.0.2:8080']);
  });

  test('UDP knows no end of a connection: deleted at once', () => {
    const plan = new ServerPlan(HELD);
    expect(bring(plan, dns, { ...wanted('10.1.0.2:1053'), persistSeconds: 60 }).first).toEqual([
      '-E -u 10.0.0.1:53 -s rr -p 60',
      '-a -u 10.0.0.1:53 -r 10.1.0.2:1053 -m -w 1',
      '-d -u 10.0.0.1:53 -r 10.1.0.1:1053',
    ]);
  });

  test('a server nobody wants goes last', () => {
    const plan = new ServerPlan(HELD);
    expect(bring(plan, web, undefined)).toEqual({ first: [], last: ['-D -t 10.0.0.1:80'] });
    expect(bring(plan, web, undefined)).toEqual({ first: [], last: [] });
  });
});
