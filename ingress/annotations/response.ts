import type { ResponsePolicy } from '../policy.ts';
import type { AnnotationReader } from './reader.ts';

/** Parts of rows 28 and 33: custom-headers, proxy-redirect-*, proxy-cookie-*. */
export function readResponse(read: AnnotationReader): ResponsePolicy {
  return {
    customHeaders: read.reference('custom-headers'),
    redirectRewrite: readRedirectRewrite(read),
    cookieDomain: readPairs(read, 'proxy-cookie-domain'),
    cookiePath: readPairs(read, 'proxy-cookie-path'),
  };
}

function readRedirectRewrite(read: AnnotationReader): ResponsePolicy['redirectRewrite'] {
  const from = read.fieldValue('proxy-redirect-from');
  const to = read.fieldValue('proxy-redirect-to');
  if (from === undefined || from === 'off') return undefined;
  if (from === 'default') return 'default';
  if (to === undefined) return read.refuse('proxy-redirect-from', 'proxy-redirect-to is missing');
  if (from.startsWith('~'))
    return read.refuse('proxy-redirect-from', 'patterns are not supported; write the prefix out');
  return { from, to };
}

/** `from to` pairs; `off` is none. */
function readPairs(read: AnnotationReader, name: string): [string, string][] {
  const text = read.fieldValue(name);
  if (text === undefined || text === 'off' || text === '') return [];
  const words = text.split(/\s+/);
  if (words.length === 2 && !words.some((word) => word.startsWith('~') || /[;,]/.test(word)))
    return [[words[0]!, words[1]!]];
  read.refuse(name, 'must be two words, without patterns');
  return [];
}
