/**
 * `npm test`: every check there is, cheapest first, then one closing line `N passed, N failed, N skipped`.
 * Each static check (types, lint, format, dead code) counts as one test.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installTools } from './system-tools.ts';

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  success: boolean;
  testResults: {
    name: string;
    status: string;
    assertionResults: { status: string; fullName: string; failureMessages?: string[] }[];
  }[];
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
process.env['PATH'] = `${process.env['PATH']}:/usr/sbin:/sbin`;
const scratch = mkdtempSync(join(tmpdir(), 'weft-test-'));
const total: Tally = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];

function check(name: string, command: string, args: readonly string[]): void {
  const started = performance.now();
  const result = spawnSync(command, args, { encoding: 'utf8' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`${result.status === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  if (result.status === 0) {
    total.passed++;
    return;
  }
  total.failed++;
  failures.push(name);
  say(`${result.stdout}${result.stderr}`);
}

function vitest(name: string, args: readonly string[]): void {
  const file = join(scratch, `${name}.json`);
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${file}`];
  // A loaded machine gets one more try; what needed it is named.
  const run = spawnSync('vitest', ['run', '--retry=1', ...reporters, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const report = readReport(file);
  if (!report) {
    total.failed++;
    failures.push(`${name}: vitest wrote no report (exit ${run.status})`);
    return;
  }
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  total.skipped += report.numPendingTests;
  for (const suite of report.testResults) {
    const failed = suite.assertionResults.filter((test) => test.status === 'failed');
    if (suite.status === 'failed' && failed.length === 0) {
      total.failed++;
      failures.push(`${suite.name}: did not load`);
    }
    failures.push(...failed.map((test) => test.fullName));
    for (const test of suite.assertionResults) {
      if (test.status === 'passed' && test.failureMessages?.length)
        say(`RETRIED ${test.fullName}: ${test.failureMessages[0]?.split('\n')[0]}`);
    }
    const skipped = suite.assertionResults.filter(
      (test) => test.status === 'pending' || test.status === 'skipped',
    );
    for (const test of skipped) say(`SKIPPED ${test.fullName}`);
  }
  if (run.status !== 0 && report.success) {
    total.failed++;
    failures.push(`${name}: vitest ended with ${run.status}`);
  }
}

function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  } catch {
    return undefined;
  }
}

const missing = installTools(say);
check('types', 'tsc', ['--noEmit']);
check('lint', 'npm', ['run', '--silent', 'lint']);
check('format', 'npm', ['run', '--silent', 'format:check']);
check('dead code', 'knip', []);
// Kernel, netns and whole-system tests run alone: they measure time and own host-wide names.
const alone = ['test/netns', 'test/scenarios'];
vitest(
  'units',
  alone.map((folder) => `--exclude=${folder}/**`),
);
vitest('scenarios', ['--maxWorkers=1', '--passWithNoTests', ...alone]);
rmSync(scratch, { recursive: true, force: true });

for (const failure of failures) say(`FAILED ${failure}`);
if (missing.length > 0) say(`Missing tools: ${missing.join(', ')}`);
say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
