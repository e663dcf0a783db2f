import { expect, test } from 'vitest';
import { Fault } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { EngineChoice, type EngineName } from '../../src/net/engine.ts';

function choice(name: EngineName) {
  const lines: string[] = [];
  const log = { info: (event: string, fields: object) => lines.push(`${event} ${JSON.stringify(fields)}`) };
  return { lines, choice: new EngineChoice(name, { log: log as unknown as Logger }) };
}

const works = (what: string) => () => Promise.resolve(what);
const fails = (code: string) => () => Promise.reject(new Fault(code, `no ${code}`));

test.each([
  ['auto', works('native'), 'native'],
  ['native', works('native'), 'native'],
  ['portable', works('native'), 'portable'],
  ['auto', fails('FFI'), 'portable'],
  ['auto', fails('NATIVE_UNSUPPORTED'), 'portable'],
] as const)('%s opens by what works', async (name, native, opened) => {
  expect(await choice(name).choice.open(native, works('portable'))).toBe(opened);
});

test.each([
  ['native', 'FFI'],
  ['auto', 'LISTEN_FAILED'],
] as const)('%s does not hide %s', async (name, code) => {
  await expect(choice(name).choice.open(fails(code), works('portable'))).rejects.toMatchObject({ code });
});

test('why auto is not native is said once', async () => {
  const auto = choice('auto');
  await auto.choice.open(fails('FFI'), works('portable'));
  await auto.choice.open(fails('FFI'), works('portable'));
  expect(auto.lines).toEqual(['native engine not used {"reason":"no FFI"}']);
});
