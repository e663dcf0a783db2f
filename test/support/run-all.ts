/**
 * `npm test`: every check there is, cheapest first, then one closing line `N passed, N failed, N skipped`.
 * Each static check (types, lint, format, dead code) counts as one test.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LostFiles } from './lost-files.ts';
import { installTools } from './system-tools.ts';

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

interface VitestReport {
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
/** What a reader of the last lines should know besides: skipped, retried, thrown outside a test. */
const remarks: string[] = [];

function check(name: string, command: string, args: readonly string[]): void {
  const started = performance.now();
  const result = spawnSync(command, args, { encoding: 'utf8' });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`${result.status === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  if (result.status === 0) {
    total.passed++;
    return;
  }
  fail(name);
  say(`${result.stdout}${result.stderr}`);
}

function vitest(name: string, args: readonly string[]): void {
  const lost = runVitest(name, args);
  // A loaded machine gets one more try; what needed it is named.
  if (lost.length > 0) {
    for (const file of lost) remarks.push(`RETRIED ${file}: its process ended early`);
    const flags = args.filter((each) => each.startsWith('--'));
    for (const file of runVitest(`${name}-again`, [...flags, ...lost]))
      fail(`${file}: its process ended early, twice`);
  }
}

/** The files whose process ended before their tests did. */
function runVitest(name: string, args: readonly string[]): readonly string[] {
  const file = join(scratch, `${name}.json`);
  const lostFile = join(scratch, `${name}-lost.json`);
  const reporters = ['dot', 'json', './test/support/lost-files.ts'].map((each) => `--reporter=${each}`);
  const run = spawnSync('vitest', ['run', '--retry=1', `--outputFile.json=${file}`, ...reporters, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, WEFT_LOST_FILES: lostFile },
  });
  const report = readJson(file) as VitestReport | undefined;
  const lost = readJson(lostFile) as LostFiles | undefined;
  if (!report || !lost) {
    fail(`${name}: vitest wrote no report (exit ${run.status})`);
    return [];
  }
  for (const suite of report.testResults)
    if (!lost.files.some((each) => suite.name.endsWith(`/${each}`))) count(suite);
  for (const error of lost.errors) remarks.push(`ERROR ${error}`);
  const strays = lost.errors.length - lost.files.length;
  if (run.status !== 0 && report.success && (strays > 0 || lost.files.length === 0))
    fail(`${name}: vitest ended with ${run.status}: ${lost.errors.join('; ')}`);
  return lost.files;
}

function count(suite: VitestReport['testResults'][number]): void {
  const failed = suite.assertionResults.filter((test) => test.status === 'failed');
  if (suite.status === 'failed' && failed.length === 0) fail(`${suite.name}: did not load`);
  for (const test of failed) fail(test.fullName);
  for (const test of suite.assertionResults) {
    if (test.status === 'passed') total.passed++;
    if (test.status === 'passed' && test.failureMessages?.length)
      remarks.push(`RETRIED ${test.fullName}: ${test.failureMessages[0]?.split('\n')[0]}`);
    if (test.status === 'pending' || test.status === 'skipped') {
      total.skipped++;
      remarks.push(`SKIPPED ${test.fullName}`);
    }
  }
}

function fail(what: string): void {
  total.failed++;
  failures.push(what);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
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

for (const remark of remarks) say(remark);
for (const failure of failures) say(`FAILED ${failure}`);
if (missing.length > 0) say(`Missing tools: ${missing.join(', ')}`);
say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
