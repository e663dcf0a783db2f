import { Buffer } from 'node:buffer';
import { cloneJson, equalJson, isObject, objectAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/admission.ts';
import { type AccessAttributes, type Decision, MASTERS } from '../authorize/authorizer.ts';
import { forbidden } from '../status.ts';
import { parseSigningRequest } from './certificate.ts';

const GROUP = 'certificates.k8s.io';
const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';

/** Who asks is written by the server, whatever the body says. */
export const csrIdentity: AdmissionPlugin = {
  name: 'CertificateRequestIdentity',
  admit(request) {
    const spec = request.object?.['spec'];
    if (!isRequest(request) || request.operation !== 'CREATE' || !isObject(spec)) return;
    const { user } = request;
    spec['username'] = user.username;
    spec['groups'] = [...user.groups];
    for (const field of ['uid', 'extra'] as const) {
      if (user[field] === undefined) delete spec[field];
      else spec[field] = cloneJson(user[field]);
    }
  },
};

/**
 * Writing the approval or the certificate needs the right to `approve` or `sign` for the request's signer, beside the
 * one to write (upstream's CertificateApproval, CertificateSigning and CertificateSubjectRestriction).
 */
export function csrRestriction(
  authorize: (attributes: AccessAttributes) => Promise<Decision>,
): AdmissionPlugin {
  const mayFor = async (request: AdmissionRequest, verb: string, signerName: string): Promise<boolean> => {
    const domain = `${signerName.slice(0, signerName.indexOf('/'))}/*`;
    for (const name of [signerName, domain]) {
      const decision = await authorize({
        user: request.user,
        verb,
        group: GROUP,
        version: 'v1',
        resource: 'signers',
        subresource: '',
        namespace: '',
        name,
        path: undefined,
        fieldSelector: '',
      });
      if (decision.allowed) return true;
    }
    return false;
  };
  return {
    name: 'CertificateRestriction',
    async validate(request) {
      if (!isRequest(request) || !request.object) return;
      if (request.operation === 'CREATE') return checkSubject(request, request.object);
      const verb = verbNeeded(request, request.object);
      const signerName = stringAt(request.old?.['spec'], 'signerName');
      if (verb === undefined || (await mayFor(request, verb, signerName))) return;
      const why = `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`;
      throw forbidden(request.kind, request.name, why);
    },
  };
}

const isRequest = ({ kind }: AdmissionRequest): boolean =>
  kind.group === GROUP && kind.kind === 'CertificateSigningRequest';

function verbNeeded({ subresource, old }: AdmissionRequest, object: UnknownObject): string | undefined {
  if (subresource === 'approval') return 'approve';
  if (subresource !== 'status') return undefined;
  const [now, before] = [objectAt(object, 'status'), objectAt(old, 'status')];
  const same =
    equalJson(now['certificate'], before['certificate']) &&
    equalJson(now['conditions'] ?? [], before['conditions'] ?? []);
  return same ? undefined : 'sign';
}

function checkSubject({ kind, name }: AdmissionRequest, object: UnknownObject): void {
  const spec = objectAt(object, 'spec');
  if (stringAt(spec, 'signerName') !== CLIENT_SIGNER) return;
  const text = Buffer.from(stringAt(spec, 'request'), 'base64').toString('utf8');
  if (!parseSigningRequest(text)?.subject.organizations.includes(MASTERS)) return;
  throw forbidden(kind, name, `use of ${CLIENT_SIGNER} signer with ${MASTERS} group is not allowed`);
}
