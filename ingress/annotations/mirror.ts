import { isAuthority } from '../http/framing.ts';
import type { MirrorPolicy } from '../policy.ts';
import type { AnnotationReader } from './reader.ts';

/** Row 30: mirror-*. */
export function readMirror(read: AnnotationReader): MirrorPolicy | undefined {
  const target = read.location('mirror-target');
  const requestBody = read.bool('mirror-request-body') ?? true;
  const host = read.fieldValue('mirror-host');
  if (target === undefined) return undefined;
  if (!/^https?:\/\//.test(target)) return read.refuse('mirror-target', 'must be an absolute URL');
  return { target, requestBody, host: host !== undefined && isAuthority(host) ? host : undefined };
}
