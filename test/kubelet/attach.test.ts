import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachTo } from '../../src/kubelet/attach.ts';
import { ATTACH_BACKLOG_MAX_BYTES, INPUT_BACKLOG_MAX_BYTES } from '../../src/kubelet/limits.ts';
import type { ContainerProcess } from '../../src/kubelet/runtime/container-process.ts';
import { inputMode } from '../../src/kubelet/runtime/container-input.ts';
import { waitFor } from '../support/wait-for.ts';
import { pod, PodBench, shell } from './support/pod-bench.ts';

let bench: PodBench;
beforeEach(() => void (bench = new PodBench()));
afterEach(() => bench[Symbol.asyncDispose]());

const PATIENCE_MS = 30_000;

async function running(
  script: string,
  more: object,
): Promise<{ live: ContainerProcess; log: () => string; ended: Promise<void> }> {
  const worker = bench.start(pod({ restartPolicy: 'Never', containers: [shell(script, more)] }));
  const live = await waitFor('the process', () => worker.container('main')?.process, PATIENCE_MS);
  return { live, log: () => readFileSync(live.output.path, 'utf8'), ended: worker.ended };
}

/** The streams apart: nothing orders what is printed to one against what is printed to the other. */
function shown(session: ReturnType<typeof attachTo>): { stdout: string; stderr: string } {
  const text = { stdout: '', stderr: '' };
  session.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()));
  session.stderr?.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
  return text;
}

describe('what a container has as input', () => {
  it.each([
    [{}, 'none'],
    [{ stdinOnce: true }, 'none'],
    [{ stdin: true }, 'pipe'],
    [{ stdin: true, stdinOnce: true }, 'once'],
    [{ stdin: true, stdinOnce: true, tty: true }, 'terminal'],
    [{ tty: true }, 'terminal'],
  ])('%j: %s', (fields, mode) => {
    expect(inputMode({ name: 'main', ...fields })).toBe(mode);
  });
});

describe('an attached client', () => {
  it('writes to an input that stays open for the next one', async () => {
    const { live, log } = await running('while read line; do echo got $line; done; echo over', {
      stdin: true,
    });
    for (const word of ['one', 'two']) {
      const session = attachTo(live, true);
      session.stdin?.end(`${word}\n`);
      expect(await session.exit).toEqual({ exitCode: 0 });
      await waitFor(word, () => log().includes(`got ${word}`), PATIENCE_MS);
    }
    expect(log()).not.toContain('over');
  });

  it('ends an input that is given once, and sees the rest', async () => {
    const { live, ended } = await running('cat; echo over; echo bad >&2; exit 4', {
      stdin: true,
      stdinOnce: true,
    });
    const session = attachTo(live, true);
    const text = shown(session);
    session.stdin?.end('all of it\n');
    expect(await session.exit).toEqual({ exitCode: 0 });
    await ended;
    expect(text).toEqual({ stdout: 'all of it\nover\n', stderr: 'bad\n' });
  });

  it('ends an input that is given once when it goes', async () => {
    const { live, log, ended } = await running('cat; echo over', { stdin: true, stdinOnce: true });
    attachTo(live, false).kill(); // without input it has nothing to end
    const session = attachTo(live, true);
    session.stdin?.write('first\n');
    await waitFor('the first line', () => log().includes('first'), PATIENCE_MS);
    session.kill();
    await ended;
    expect(log()).toContain('over');
  });

  it('has a terminal, its size and its signals', async () => {
    const { live, log } = await running('trap "echo caught" INT; while :; do read l && stty size; done', {
      stdin: true,
      tty: true,
    });
    const session = attachTo(live, true);
    const text = shown(session);
    expect(session.stderr).toBeUndefined();
    session.resize(132, 43);
    session.stdin?.write('\n');
    await waitFor('the size', () => text.stdout.includes('43 132'), PATIENCE_MS);
    session.stdin?.write('\u0003');
    await waitFor('the signal', () => text.stdout.includes('caught'), PATIENCE_MS);
    session.kill();
    await session.exit;
    const next = attachTo(live, true);
    next.stdin?.write('\n');
    await waitFor('the container to go on', () => log().split('43 132').length > 2, PATIENCE_MS);
  });

  it('has no input where the container has none', async () => {
    const { live } = await running('exec sleep 100', {});
    const session = attachTo(live, true);
    expect(session.stdin).toBeUndefined();
    session.kill();
    expect(await session.exit).toEqual({ exitCode: 0 });
  });

  it('is told when nobody reads what it writes', async () => {
    const { live } = await running('exec sleep 100', { stdin: true });
    const first = attachTo(live, true);
    const chunk = Buffer.alloc(INPUT_BACKLOG_MAX_BYTES + 128 * 1024);
    first.stdin?.write(chunk);
    first.kill();
    const second = attachTo(live, true);
    const told = new Promise((resolve) => second.stdin?.once('error', resolve));
    second.stdin?.write('more');
    expect(await told).toMatchObject({ code: 'INPUT_FULL' });
  });

  it('is detached when it does not read', async () => {
    const enough = ATTACH_BACKLOG_MAX_BYTES + 1024 * 1024;
    const { live } = await running(`read go; head -c ${enough} /dev/zero; exec sleep 100`, { stdin: true });
    const session = attachTo(live, true);
    session.stdin?.write('go\n');
    expect(await session.exit).toEqual({ exitCode: 0 });
  });
});
