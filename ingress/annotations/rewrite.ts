import type { AnnotationReader } from './reader.ts';

/** Rows 1 to 3: rewrite-target, use-regex, app-root. */
export function readRewrite(read: AnnotationReader): {
  rewriteTarget: string | undefined;
  useRegex: boolean;
  appRoot: string | undefined;
} {
  const target = read.fieldValue('rewrite-target');
  const usable = target === undefined || target === '' ? undefined : usableTarget(read, target);
  const appRoot = read.fieldValue('app-root');
  const root =
    appRoot === undefined || appRoot.startsWith('/') ? appRoot : read.refuse('app-root', 'must start with /');
  const useRegex = read.bool('use-regex') ?? false;
  read.differs(
    'use-regex',
    'RE2 syntax: no look-around and no back references; plain paths beside it stay plain except with --strict',
  );
  return { rewriteTarget: usable, useRegex, appRoot: root };
}

function usableTarget(read: AnnotationReader, target: string): string | undefined {
  if (/\s/.test(target)) return read.refuse('rewrite-target', 'holds a space');
  if (/\$[a-z_]/i.test(target))
    return read.refuse('rewrite-target', 'nginx variables are not supported; use $1 to $9');
  return target.startsWith('/') || /^https?:\/\//.test(target) ? target : `/${target}`;
}
