import { again, done } from '../api/client/reconcile.ts';
import { resources } from '../api/client/resources.ts';
import type { CertificateSigningRequest } from '../api/kinds/certificate-request.ts';
import { type ControllerContext, openLoop, splitKey, together } from './context.ts';
import { ANSWERED_REQUEST_MS, PENDING_REQUEST_MS } from './limits.ts';
import { isGone } from './pod-control.ts';

/** Deletes signing requests that were answered an hour ago, or that nobody answered for a day. */
export function openCertificateRequestCleaner(context: ControllerContext): AsyncDisposable {
  const { client, informers, clock } = context;
  const requests = informers.informer<CertificateSigningRequest>(resources.certificateSigningRequests);
  const loop = openLoop(context, 'certificate-request-cleaner', async (key) => {
    const { name } = splitKey(key);
    const request = requests.get(undefined, name);
    if (!request || request.metadata.deletionTimestamp) return done;
    const leftMs = expiresAtMs(request) - clock.nowMs();
    if (leftMs > 0) return again(leftMs);
    const { uid } = request.metadata;
    await client
      .delete(resources.certificateSigningRequests, name, undefined, uid ? { preconditions: { uid } } : {})
      .catch((error: unknown) => {
        if (!isGone(error)) throw error;
      });
    return done;
  });
  return together(
    loop,
    requests.subscribe(({ type, object }) => {
      if (type !== 'deleted') loop.add(object.metadata.name);
    }),
  );
}

/** Approved ones stay until they are signed, for as long as pending ones do. */
function expiresAtMs({ metadata, status = {} }: CertificateSigningRequest): number {
  const { certificate, conditions = [] } = status;
  const answers = conditions.filter(
    ({ type }) => type === 'Denied' || type === 'Failed' || (type === 'Approved' && certificate),
  );
  const times = answers.map((one) => Date.parse(one.lastUpdateTime ?? one.lastTransitionTime ?? ''));
  const answeredMs = Math.max(...times.filter((ms) => !Number.isNaN(ms)));
  if (Number.isFinite(answeredMs)) return answeredMs + ANSWERED_REQUEST_MS;
  return Date.parse(metadata.creationTimestamp ?? '') + PENDING_REQUEST_MS;
}
