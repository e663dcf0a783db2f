import type { CorsPolicy } from '../policy.ts';
import type { AnnotationReader } from './reader.ts';

const METHODS = 'GET, PUT, POST, DELETE, PATCH, OPTIONS';
const HEADERS =
  'DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization';
const MAX_AGE_SECONDS = 1_728_000;
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/(\*\.)?[a-z0-9.:[\]-]+$/i;

/** Row 20: enable-cors and cors-*. */
export function readCors(read: AnnotationReader): CorsPolicy | undefined {
  const enabled = read.bool('enable-cors') ?? false;
  const policy: CorsPolicy = {
    origins: readOrigins(read),
    methods: readList(read, 'cors-allow-methods') ?? METHODS,
    headers: readList(read, 'cors-allow-headers') ?? HEADERS,
    credentials: read.bool('cors-allow-credentials') ?? true,
    exposeHeaders: readList(read, 'cors-expose-headers'),
    maxAgeSeconds: read.integer('cors-max-age') ?? MAX_AGE_SECONDS,
  };
  return enabled ? policy : undefined;
}

function readOrigins(read: AnnotationReader): string[] {
  const parts = read.list('cors-allow-origin');
  if (!parts || parts.length === 0) return ['*'];
  if (parts.includes('*')) return ['*'];
  const odd = parts.find((part) => !ORIGIN.test(part));
  if (odd !== undefined) read.refuse('cors-allow-origin', `${odd} is no origin; it is left out`);
  return parts.filter((part) => ORIGIN.test(part)).map((part) => part.toLowerCase());
}

function readList(read: AnnotationReader, name: string): string | undefined {
  const text = read.fieldValue(name);
  if (text === undefined || text === '') return undefined;
  return /^[A-Za-z0-9!#$%&'*+.^_`|~, -]+$/.test(text) ? text : read.refuse(name, 'is no list of names');
}
