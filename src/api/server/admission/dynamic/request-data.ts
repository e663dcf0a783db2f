import type { JsonObject } from '../../../kinds/json-value.ts';
import type { GroupVersionKind, KindInfo } from '../../../kinds/registry.ts';
import type { AdmissionRequest } from '../admission.ts';

const gvkOf = ({ group, version, kind }: GroupVersionKind): JsonObject => ({ group, version, kind });

/** The `request` of an AdmissionReview and of CEL, without the objects. */
export function requestData(request: AdmissionRequest, matched: KindInfo, uid: string): JsonObject {
  const { kind, subresource, user, name, namespace, operation, dryRun, options, object } = request;
  // Of a connection the options are the object, and their kind is the kind asked for.
  const connects = operation === 'CONNECT' ? { group: '', version: 'v1', kind: object?.kind } : undefined;
  const resourceOf = (one: KindInfo): JsonObject => ({
    group: one.group,
    version: one.version,
    resource: one.plural,
  });
  return {
    uid,
    kind: connects ?? gvkOf(bodyKind(matched, subresource)),
    resource: resourceOf(matched),
    ...(subresource && { subResource: subresource }),
    requestKind: connects ?? gvkOf(bodyKind(kind, subresource)),
    requestResource: resourceOf(kind),
    ...(subresource && { requestSubResource: subresource }),
    name,
    ...(namespace && { namespace }),
    operation,
    userInfo: {
      username: user.username,
      ...(user.uid && { uid: user.uid }),
      groups: user.groups,
      ...(user.extra && { extra: user.extra }),
    },
    dryRun,
    options: connects ? null : options,
  };
}

function bodyKind(kind: KindInfo, subresource: string): GroupVersionKind {
  // Writes through a subresource carry the whole object here.
  return subresource ? kind : (kind.subresources.find((one) => one.name === subresource)?.kind ?? kind);
}
