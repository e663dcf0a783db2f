import type { ErrorPolicy } from '../policy.ts';
import type { GlobalSettings } from '../settings.ts';
import type { AnnotationReader } from './reader.ts';

/** Row 29: default-backend and custom-http-errors. */
export function readErrors(read: AnnotationReader, settings: GlobalSettings): ErrorPolicy | undefined {
  const service = read.text('default-backend');
  const usable =
    service === undefined || /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(service)
      ? service
      : read.refuse('default-backend', 'must be the name of a Service of this namespace');
  const codes = read.list('custom-http-errors');
  const statuses = new Set(codes?.map(Number) ?? settings.customHttpErrors);
  for (const status of statuses) {
    if (Number.isInteger(status) && status >= 300 && status <= 599) continue;
    read.refuse('custom-http-errors', 'must be codes from 300 to 599');
    return usable === undefined ? undefined : { defaultBackend: usable, statuses: new Set(), ownOnly: false };
  }
  const ownOnly = read.bool('disable-proxy-intercept-errors') ?? settings.disableIntercept;
  if (codes && usable === undefined && !settings.defaultBackend)
    read.differs(
      'custom-http-errors',
      'without default-backend there is no service to show the page: the answer passes',
    );
  return usable === undefined && statuses.size === 0
    ? undefined
    : { defaultBackend: usable, statuses, ownOnly };
}
