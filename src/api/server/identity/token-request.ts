import { invalid as fieldInvalid } from '../../kinds/field-error.ts';
import { arrayAt, isObject, objectAt, stringAt, valueAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { decodeDocument } from '../http/body.ts';
import { jsonReply } from '../http/reply.ts';
import { nodeNameOf } from '../authorize/node.ts';
import { badRequest, conflict, forbidden, invalid, methodNotAllowed, notFound } from '../status.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import { served } from '../verbs/versions.ts';
import type { Call } from '../verbs/write.ts';
import type { TokenAuthority, TokenBinding } from './service-account-tokens.ts';

const DEFAULT_SECONDS = 3_600;
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;
const BINDABLE: Readonly<Record<string, string>> = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' };

/** serviceaccounts/NAME/token: a token for the account, for audiences, bound to an object (authentication/v1 TokenRequest). */
export function tokenRequestHandler(authority: TokenAuthority): SubresourceHandler {
  return async (call) => {
    const { core, kind, info, request } = call;
    if (info.verb !== 'create') throw methodNotAllowed();
    await core.objects.hub.fresh();
    const entry = core.objects.get(kind, info.namespace, info.name);
    if (!entry) throw notFound(kind, info.name);
    const { value } = decodeDocument(await request.body(), request.headers['content-type']);
    const spec = objectAt(value, 'spec');
    const seconds = spec['expirationSeconds'] ?? DEFAULT_SECONDS;
    if (typeof seconds !== 'number' || seconds < MIN_SECONDS || seconds > MAX_SECONDS) {
      const why =
        typeof seconds === 'number' && seconds > MAX_SECONDS
          ? 'may not specify a duration larger than 2^32 seconds'
          : 'may not specify a duration less than 10 minutes';
      throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [
        fieldInvalid('spec.expirationSeconds', seconds, why),
      ]);
    }
    const account = served(kind, entry);
    const audiences = arrayAt(spec, 'audiences').map(String);
    const binding = boundObject(call, spec['boundObjectRef'], account);
    checkNode(call, spec['boundObjectRef'], binding);
    const token = authority.sign(account, {
      audiences: audiences.length > 0 ? audiences : authority.audiences,
      expirationSeconds: seconds,
      bound: binding?.bound,
      node: binding?.node,
    });
    const nowMs = core.clock.nowMs();
    return jsonReply(201, {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name: info.name, namespace: info.namespace, creationTimestamp: iso(nowMs) },
      spec: {
        ...spec,
        audiences: audiences.length > 0 ? audiences : authority.audiences,
        expirationSeconds: seconds,
      },
      status: { token, expirationTimestamp: iso(nowMs + seconds * 1000) },
    });
  };
}

const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** A kubelet gets tokens for the pods it runs, which end with those pods (NodeRestriction). */
function checkNode({ kind, info, user }: Call, ref: unknown, binding: Bound | undefined): void {
  const node = nodeNameOf(user);
  if (node === undefined) return;
  const refuse = (why: string): never => {
    throw forbidden(kind, info.name, `node requested token ${why}`);
  };
  if (binding?.bound.kind !== 'Pod') return refuse('not bound to a pod');
  if (!isObject(ref) || !stringAt(ref, 'uid')) return refuse('with a pod binding without a uid');
  if (binding.nodeName !== node) refuse('bound to a pod scheduled on a different node');
}

interface Bound {
  /** Where the bound pod is to run; empty for other objects. */
  readonly nodeName: string;
  readonly bound: TokenBinding;
  readonly node: { readonly name: string; readonly uid: string } | undefined;
}

function boundObject({ core, info }: Call, ref: unknown, account: UnknownObject): Bound | undefined {
  if (!isObject(ref)) return undefined;
  const name = stringAt(ref, 'name');
  const refKind = stringAt(ref, 'kind');
  const resource = BINDABLE[refKind];
  if (!resource) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account.metadata.name)} to object of type ${JSON.stringify(refKind)}`,
    );
  }
  const boundKind = core.registry.find('', 'v1', resource);
  const entry = boundKind && core.objects.get(boundKind, boundKind.namespaced ? info.namespace : '', name);
  if (!entry) throw notFound({ group: '', plural: resource }, name);
  const object = entry.object;
  const uid = object.metadata.uid ?? '';
  const given = stringAt(ref, 'uid');
  if (given && given !== uid) {
    throw conflict(
      { group: '', plural: resource },
      name,
      `the UID in the bound object reference (${given}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (refKind === 'Pod' && valueAt(object, 'spec.serviceAccountName') !== account.metadata.name) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account.metadata.name)} to pod running with different serviceaccount name.`,
    );
  }
  const nodeName = refKind === 'Pod' ? valueAt(object, 'spec.nodeName') : undefined;
  const nodes = core.registry.find('', 'v1', 'nodes');
  const node =
    typeof nodeName === 'string' && nodes ? core.objects.get(nodes, '', nodeName)?.object : undefined;
  return {
    nodeName: typeof nodeName === 'string' ? nodeName : '',
    bound: { kind: refKind as TokenBinding['kind'], name, uid },
    node: node && { name: node.metadata.name, uid: node.metadata.uid ?? '' },
  };
}
