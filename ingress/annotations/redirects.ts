import type { RoutePolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import type { AnnotationReader } from './reader.ts';

type RedirectParts = Pick<
  RoutePolicy,
  'redirect' | 'sslRedirect' | 'forceSslRedirect' | 'preserveTrailingSlash' | 'fromToWww' | 'serverAliases'
>;

/** Rows 4 to 8: ssl-redirect, force-ssl-redirect, fixed redirects, from-to-www-redirect, server-alias. */
export function readRedirects(read: AnnotationReader, settings: GlobalSettings): RedirectParts {
  return {
    redirect: readFixedRedirect(read),
    sslRedirect: read.bool('ssl-redirect') ?? settings.sslRedirect,
    forceSslRedirect: read.bool('force-ssl-redirect') ?? settings.forceSslRedirect,
    preserveTrailingSlash: read.bool('preserve-trailing-slash') ?? settings.preserveTrailingSlash,
    fromToWww: read.bool('from-to-www-redirect') ?? false,
    serverAliases: readAliases(read),
  };
}

/** Temporal wins over permanent; a code outside its range falls back to the default, as ingress-nginx does. */
function readFixedRedirect(read: AnnotationReader): RoutePolicy['redirect'] {
  const permanent = read.location('permanent-redirect');
  const temporal = read.location('temporal-redirect');
  const permanentCode = read.integer('permanent-redirect-code', 300, 308) ?? 301;
  const temporalCode = read.integer('temporal-redirect-code', 300, 307) ?? 302;
  if (temporal !== undefined) return { status: temporalCode, location: temporal };
  return permanent === undefined ? undefined : { status: permanentCode, location: permanent };
}

function readAliases(read: AnnotationReader): string[] {
  const aliases: string[] = [];
  for (const alias of read.list('server-alias') ?? []) {
    if (alias.startsWith('~') || /^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/i.test(alias)) {
      aliases.push(alias.startsWith('~') ? alias : alias.toLowerCase());
    } else read.refuse('server-alias', `${alias} is no host name`);
  }
  return aliases;
}
