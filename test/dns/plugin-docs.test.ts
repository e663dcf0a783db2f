import { describe, expect, it } from 'vitest';
import { CorefileFault, loadCorefile } from '../../dns/corefile/load.ts';
import { ABSENT_DIRECTIVES, PLUGIN_ORDER } from '../../dns/plugin-order.ts';
import { textOf } from '../support/source-files.ts';

const DOCS = textOf('docs/dns-plugins.md');
const options = { dnsPort: 53, strict: false, env: {} };

describe('docs/dns-plugins.md', () => {
  const [built = '', absent = ''] = DOCS.split('## Not built');

  it.each(PLUGIN_ORDER.map(({ name }) => name))('describes %s', (name) =>
    expect(built).toMatch(new RegExp(`^(### .*\\b${name}\\b|\\| \`${name}[ \`])`, 'm')),
  );

  it.each(Object.keys(ABSENT_DIRECTIVES))('says why there is no %s', (name) =>
    expect(absent).toContain(`\`${name}\``),
  );

  const examples = Array.from(DOCS.matchAll(/```corefile\n([\s\S]*?)```/g), (match) => match[1]!);
  it('has examples', () => expect(examples.length).toBeGreaterThan(4));
  it.each(examples)('shows a Corefile without faults: %s', (text) =>
    expect(loadCorefile({ text }, options).plans.length).toBeGreaterThan(0),
  );
});

describe('directives that are not there', () => {
  it.each(Object.entries(ABSENT_DIRECTIVES))('%s is refused with the way out', (name, way) => {
    const load = (): unknown => loadCorefile({ text: `. {\n  ${name} x\n}\n` }, options);
    expect(load).toThrow(CorefileFault);
    expect(load).toThrow(`Corefile:2:3: directive "${name}" is not part of weft: ${way}`);
  });
});
