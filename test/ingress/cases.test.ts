import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { exec } from '../../src/net/exec.ts';
import type { CaseGroup } from './support/case-types.ts';

/** All cases of the ingress, legacy, annotation and proxy profiles over real sockets, in a network namespace of their own. */
const PROFILES = ['ingress-v1', 'ingress-legacy', 'nginx-annotations', 'proxy'];
const { groups } = JSON.parse(readFileSync(new URL('../cases/ingress.json', import.meta.url), 'utf8')) as {
  groups: CaseGroup[];
};
const path = (name: string): string => fileURLToPath(new URL(`./support/${name}`, import.meta.url));

interface Result {
  readonly id: string;
  readonly mode: string;
  readonly faults: readonly string[];
}

let results: readonly Result[] = [];
let unavailable: string | undefined;

beforeAll(async () => {
  const probe = await exec(path('case-netns.sh'), ['true']);
  if (probe.exitCode !== 0) {
    unavailable = `no network namespace here (root and iproute2 are needed): ${probe.stderr.trim()}`;
    return;
  }
  const run = await exec(path('case-netns.sh'), [process.execPath, path('case-run.ts')], {
    timeoutMs: 600_000,
  });
  results = run.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Result);
  expect(run.stderr).toBe('');
  expect(run.exitCode).toBe(0);
}, 620_000);

describe.each(groups.filter((group) => PROFILES.includes(group.profile)))('$id', (group) => {
  test.for(group.cases)('$id', (one, ctx) => {
    if (unavailable !== undefined) ctx.skip(unavailable);
    const ran = results.filter(({ id }) => id === one.id);
    expect(ran.length).toBeGreaterThan(0);
    expect(ran.filter(({ faults }) => faults.length > 0)).toEqual([]);
  });
});
