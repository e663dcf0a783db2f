import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { PROXY_CASES } from '../suites/backend.ts';
import { ROOT } from '../support/source-files.ts';
import { missingTools } from '../support/system-tools.ts';
import { noVirtualMachine, runInGuest } from '../support/virtual-machine.ts';

/** Takes a minute and a half on two idle cores. */
const GUEST_TIMEOUT_MS = 900_000;

interface Result {
  readonly title: string;
  readonly status: string;
  readonly failureMessages: readonly string[];
}

const groups = PROXY_CASES.groups
  .map(({ title, cases }) => ({ title, cases: cases.filter(({ modes }) => modes.includes('ipvs')) }))
  .filter(({ cases }) => cases.length > 0);
/** 2,000 connections once are enough, and robin deals both ports alike. */
const LEFT_OUT = ['seq-sticky-port-independent', 'seq-spread'];
const sequences = PROXY_CASES.sequences
  .filter(({ modes, id }) => modes.includes('ipvs') && !LEFT_OUT.includes(id))
  .map(({ id, title }) => `ipvs: ${id}: ${title}`);
const LIVE = ['draining', 'schedulers', 'IPv6', 'repair', 'other modes', 'settings of the host', 'cleanup'];

/** Runs the tests of ./in-vm in the guest and says what became of each. */
async function runTests(): Promise<ReadonlyMap<string, Result> | { readonly cannot: string }> {
  const folder = mkdtempSync(join(ROOT, 'node_modules', '.vm-'));
  try {
    const report = join(relative(ROOT, folder), 'report.json');
    const vitest = 'node_modules/vitest/vitest.mjs run --config test/netns/in-vm/vitest.config.ts';
    const command = `${process.execPath} ${vitest} --reporter=json --outputFile=${report}`;
    const { status, booted, output } = await runInGuest(command, { timeoutMs: GUEST_TIMEOUT_MS });
    if (!booted) return { cannot: `the virtual machine does not start: ${output.slice(-300)}` };
    if (status === undefined) throw new Error(`the virtual machine ended early:\n${output}`);
    const { testResults } = JSON.parse(readFileSync(join(ROOT, report), 'utf8')) as {
      testResults: readonly { message: string; assertionResults: readonly Result[] }[];
    };
    for (const { message } of testResults) if (message !== '') throw new Error(message);
    return new Map(
      testResults.flatMap(({ assertionResults }) =>
        assertionResults.map((each) => [keyOf(each.title), each]),
      ),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Titles of packets begin with their id; long notes are cut. */
function keyOf(title: string): string {
  const id = title.split(':')[0] ?? '';
  return groups.some(({ cases }) => cases.some((each) => each.id === id)) ? id : title;
}

const missing = missingTools(['ip', 'iptables', 'ipset', 'ipvsadm']);
let reason = noVirtualMachine() ?? (missing.length > 0 ? `missing tools: ${missing.join(', ')}` : undefined);

describe('ipvs on a kernel that has it', () => {
  let results: ReadonlyMap<string, Result> = new Map();
  beforeAll(async () => {
    if (reason !== undefined) return;
    const outcome = await runTests();
    if ('cannot' in outcome) reason = outcome.cannot;
    else results = outcome;
  }, GUEST_TIMEOUT_MS + 60_000);
  const check = (title: string): void => {
    const result = results.get(title);
    expect(result?.failureMessages.join('\n') ?? 'not run').toBe('');
    expect(result?.status).toBe('passed');
  };
  describe.each(groups)('$title', ({ cases }) => {
    test.for(cases)('$id: $note', ({ id }, context) => {
      if (reason !== undefined) context.skip(reason);
      check(id);
    });
  });
  test.for([...sequences, ...LIVE])('%s', (title, context) => {
    if (reason !== undefined) context.skip(reason);
    check(title);
  });
});
