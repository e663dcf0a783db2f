import { expect, test } from 'vitest';
import { renderTable } from '../../src/cli/text-table.ts';

test('further lines of a cell stand below it, in its column', () => {
  const conflict = 'Apply failed with 2 conflicts:\n- .spec.replicas\n- .spec.template';
  const rows = [
    ['web.yaml:3', 'spec', conflict],
    ['a.yaml:1', '-', 'short'],
  ];
  expect(renderTable(['FAILED', 'FIELD', 'MESSAGE'], rows)).toBe(
    'FAILED      FIELD  MESSAGE\n' +
      'web.yaml:3  spec   Apply failed with 2 conflicts:\n' +
      '                   - .spec.replicas\n' +
      '                   - .spec.template\n' +
      'a.yaml:1    -      short\n',
  );
});
