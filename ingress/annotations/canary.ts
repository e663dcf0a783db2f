import type { CanaryPolicy } from '../policy.ts';
import { compileUserRegex } from '../compile/user-regex.ts';
import type { AnnotationReader } from './reader.ts';

/** Row 22: canary and canary-*. */
export function readCanary(read: AnnotationReader): CanaryPolicy | undefined {
  const enabled = read.bool('canary') ?? false;
  const weightTotal = read.integer('canary-weight-total', 1) ?? 100;
  const policy: CanaryPolicy = {
    header: read.token('canary-by-header')?.toLowerCase(),
    headerValue: read.fieldValue('canary-by-header-value'),
    headerPattern: readPattern(read),
    cookie: read.token('canary-by-cookie'),
    weight: Math.min(read.integer('canary-weight') ?? 0, weightTotal),
    weightTotal,
  };
  return enabled ? policy : undefined;
}

function readPattern(read: AnnotationReader): CanaryPolicy['headerPattern'] {
  const text = read.text('canary-by-header-pattern');
  if (text === undefined || text === '') return undefined;
  const compiled = compileUserRegex(text, { ignoreCase: false, anchored: false });
  if (!('reason' in compiled)) return compiled;
  read.refuse('canary-by-header-pattern', compiled.reason);
  return 'broken';
}
