import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadCorefile } from '../../dns/corefile/load.ts';
import { createLogger, type LogRecord } from '../../src/base/log.ts';
import { nodeCorefile, upstreamsBeside } from '../../src/node/dns/node-corefile.ts';

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'weft-corefile-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const OWN = [
  { host: '10.96.0.10', port: 53 },
  { host: 'fd00:0::10', port: 53 },
  { host: '127.0.0.1', port: 10_053 },
];

describe('the resolvers of the host', () => {
  it.each([
    ['others only: the file is followed', 'nameserver 192.0.2.53\n', undefined, false],
    ['us among others', 'nameserver 10.96.0.10\nnameserver 192.0.2.53\n', ['192.0.2.53:53'], false],
    ['us in another spelling', 'nameserver fd00::10\nnameserver fd00::53\n', ['[fd00::53]:53'], false],
    ['us alone', 'search x\nnameserver 10.96.0.10\n', [], true],
    ['an address that we have at another port', 'nameserver 127.0.0.1\n', undefined, false],
    ['nobody', '', undefined, false],
  ])('%s', (name, text, expected, warned) => {
    const logs: LogRecord[] = [];
    const file = join(folder, name.replaceAll(' ', '-'));
    writeFileSync(file, text);
    const log = createLogger((line) => logs.push(line), 'debug');
    expect(upstreamsBeside(log, OWN, file)).toEqual(expected ?? [file]);
    expect(logs.length > 0).toBe(warned);
  });

  it.each([[[]], [['192.0.2.53:53', '[fd00::53]:53']]])('make a Corefile that is read: %s', (upstreams) => {
    const text = nodeCorefile({ clusterDomain: 'cluster.local', pods: 'insecure', upstreams });
    const { plans } = loadCorefile({ text, name: 'x' }, { dnsPort: 53, strict: false, env: {} });
    expect(plans).toHaveLength(1);
    expect(text.includes('forward')).toBe(upstreams.length > 0);
  });
});
