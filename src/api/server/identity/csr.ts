import { Buffer } from 'node:buffer';
import type { KeyObject, X509Certificate } from 'node:crypto';
import {
  arrayAt,
  cloneJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../../kinds/json-value.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AccessAttributes, Decision } from '../authorize/authorizer.ts';
import { decodeObject } from '../http/body.ts';
import { parseMediaType } from '../http/content.ts';
import type { UserInfo } from '../http/request.ts';
import { CERTIFICATE_DAYS } from '../limits.ts';
import { methodNotAllowed } from '../status.ts';
import type { Core } from '../verbs/context.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import { writeRequest } from '../verbs/options.ts';
import { get } from '../verbs/read.ts';
import { encoderOptions, entryReply } from '../verbs/replies.ts';
import { update } from '../verbs/update.ts';
import { patchFunction } from '../verbs/write.ts';
import { issueCertificate, parseSigningRequest, type SigningRequest } from './certificate.ts';

const CLIENT = 'kubernetes.io/kube-apiserver-client';
const KUBELET_CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet';
const KUBELET_SERVING = 'kubernetes.io/kubelet-serving';
const BACKDATE_MS = 300_000;
const DAY_SECONDS = 86_400;

/** certificatesigningrequests/NAME/approval: PUT and PATCH take the Approved and Denied conditions alone. */
export const approvalHandler: SubresourceHandler = async (call) => {
  const { core, kind, request, info, user } = call;
  if (info.verb === 'get') return await get(core, kind, request, info);
  if (info.verb !== 'update' && info.verb !== 'patch') throw methodNotAllowed();
  const write = writeRequest(request, info, kind, user);
  const body = await request.body();
  const type = request.headers['content-type'];
  const patched = info.verb === 'patch' && patchFunction(kind, parseMediaType(type ?? '').type, body);
  const read = (old: UnknownObject): UnknownObject =>
    patched
      ? decodeObject(kind, { value: patched(old), duplicates: [] }, undefined, write)
      : decodeObject(kind, body, type, write);
  const entry = await update(core, write, {
    replace: false,
    change: (old) => {
      const given = read(old);
      const object = cloneJson(old);
      const conditions = objectsAt(given['status'], 'conditions').map((one) => dated(core, one));
      object['status'] = { ...objectAt(old, 'status'), conditions };
      if (given.metadata.resourceVersion) object.metadata.resourceVersion = given.metadata.resourceVersion;
      return object;
    },
  });
  return entryReply(
    200,
    encoderOptions(kind, request, () => core.clock.nowMs()),
    entry,
  );
};

/** Who writes a condition need not say when. */
function dated({ clock }: Core, condition: JsonObject): JsonObject {
  const now = formatTime(clock.nowMs());
  return { lastUpdateTime: now, lastTransitionTime: now, ...condition };
}

export interface CsrSignerDeps {
  readonly core: Core;
  readonly caKey: KeyObject;
  readonly caCertificate: X509Certificate;
  readonly authorize: (attributes: AccessAttributes) => Promise<Decision>;
}

/** Approves what nodes may have without asking, and signs what is approved. Called for each changed request. */
export async function processSigningRequest(deps: CsrSignerDeps, name: string): Promise<void> {
  const { core } = deps;
  const kind = core.registry.find('certificates.k8s.io', 'v1', 'certificatesigningrequests');
  const entry = kind && core.objects.get(kind, '', name);
  if (!kind || !entry) return;
  const object = entry.object;
  const conditions = objectsAt(object['status'], 'conditions');
  const is = (type: string): boolean =>
    conditions.some((one) => one['type'] === type && one['status'] !== 'False');
  if (is('Denied') || is('Failed') || stringAt(object['status'], 'certificate')) return;
  const request = parseSigningRequest(
    Buffer.from(stringAt(object['spec'], 'request'), 'base64').toString('utf8'),
  );
  const next = is('Approved') ? signed(deps, object, request) : await approved(deps, object, request);
  if (next) await core.objects.put(kind, '', name, next, entry.revision);
}

async function approved(
  deps: CsrSignerDeps,
  object: UnknownObject,
  request: SigningRequest | undefined,
): Promise<UnknownObject | undefined> {
  const spec = objectAt(object, 'spec');
  if (!request || stringAt(spec, 'signerName') !== KUBELET_CLIENT || !isNodeClient(request)) return undefined;
  const user: UserInfo = {
    username: stringAt(spec, 'username'),
    groups: arrayAt(spec, 'groups').map(String),
  };
  const own = user.username === request.subject.commonName;
  const decision = await deps.authorize({
    user,
    verb: 'create',
    group: 'certificates.k8s.io',
    version: 'v1',
    resource: 'certificatesigningrequests',
    subresource: own ? 'selfnodeclient' : 'nodeclient',
    namespace: '',
    name: '',
    path: undefined,
    fieldSelector: '',
  });
  if (!decision.allowed) return undefined;
  return withCondition(deps, object, {
    type: 'Approved',
    reason: 'AutoApproved',
    message: own
      ? 'Auto approving self kubelet client certificate after SubjectAccessReview.'
      : 'Auto approving kubelet client certificate after SubjectAccessReview.',
  });
}

function isNodeClient({ subject, dnsNames, ipAddresses }: SigningRequest): boolean {
  return (
    subject.commonName.startsWith('system:node:') &&
    subject.organizations.join() === 'system:nodes' &&
    dnsNames.length === 0 &&
    ipAddresses.length === 0
  );
}

/** A kubelet may only ask for itself, by the names and addresses it is reached at. */
function isNodeServer({ subject, dnsNames, ipAddresses }: SigningRequest, username: string): boolean {
  return (
    subject.commonName === username &&
    username.startsWith('system:node:') &&
    subject.organizations.join() === 'system:nodes' &&
    dnsNames.length + ipAddresses.length > 0
  );
}

function withCondition(
  { core }: CsrSignerDeps,
  object: UnknownObject,
  condition: { type: string; reason: string; message: string },
): UnknownObject {
  const now = formatTime(core.clock.nowMs());
  const status = isObject(object['status']) ? object['status'] : {};
  const conditions = [
    ...objectsAt(status, 'conditions'),
    { ...condition, status: 'True', lastUpdateTime: now, lastTransitionTime: now },
  ];
  return { ...object, status: { ...status, conditions } };
}

function signed(
  deps: CsrSignerDeps,
  object: UnknownObject,
  request: SigningRequest | undefined,
): UnknownObject | undefined {
  const spec = objectAt(object, 'spec');
  const signerName = stringAt(spec, 'signerName');
  const fail = (message: string): UnknownObject =>
    withCondition(deps, object, { type: 'Failed', reason: 'SignerValidationFailure', message });
  if (signerName !== CLIENT && signerName !== KUBELET_CLIENT && signerName !== KUBELET_SERVING)
    return undefined;
  if (!request) return fail('unable to parse the certificate request');
  if (signerName === KUBELET_CLIENT && !isNodeClient(request))
    return fail('the subject is not that of a kubelet');
  const serving = signerName === KUBELET_SERVING;
  if (serving && !isNodeServer(request, stringAt(spec, 'username'))) {
    return fail('the subject is not that of the kubelet that asks');
  }
  if (signerName === CLIENT && request.subject.organizations.includes('system:masters')) {
    return fail('this signer does not issue certificates of system:masters');
  }
  const nowMs = deps.core.clock.nowMs();
  const asked = Number(spec['expirationSeconds'] ?? CERTIFICATE_DAYS * DAY_SECONDS);
  const seconds = Math.min(Math.max(asked, 600), CERTIFICATE_DAYS * DAY_SECONDS);
  const pem = issueCertificate(
    {
      ...request,
      usage: serving ? 'server' : 'client',
      notBeforeMs: nowMs - BACKDATE_MS,
      notAfterMs: Math.min(nowMs + seconds * 1000, deps.caCertificate.validToDate.getTime()),
    },
    { key: deps.caKey, certificate: deps.caCertificate },
  );
  const certificate = Buffer.from(pem, 'utf8').toString('base64');
  return { ...object, status: { ...objectAt(object, 'status'), certificate } };
}
