import { Buffer } from 'node:buffer';
import type { Clock } from '../../../base/clock.ts';
import { isObject, type JsonObject, objectAt, objectsAt } from '../../kinds/json-value.ts';
import { decodeDocument } from '../http/body.ts';
import type { Reply } from '../http/reply.ts';
import type { ApiRequest, UserInfo } from '../http/request.ts';
import { parseRequestInfo, type RequestInfo } from '../http/request-info.ts';
import type { StatusError } from '../status.ts';
import type { AuditDecision, AuditPolicy, AuditStage } from './policy.ts';

/** One request as its audit events tell it. */
export interface AuditTrail {
  /** The request to go on with: remembers the body and annotations. */
  readonly request: ApiRequest;
  identified(info: RequestInfo, user: UserInfo, impersonated: UserInfo | undefined): void;
  answered(reply: Reply | undefined, error: StatusError | undefined): void;
}

export type Auditor = (auditId: string, request: ApiRequest) => AuditTrail;

const NOBODY: UserInfo = { username: '', groups: [] };
const MICRO = 'Z';
const timestamp = (ms: number): string => new Date(ms).toISOString().replace(MICRO, `000${MICRO}`);

/** Turns requests into audit.k8s.io/v1 Events. */
export function auditor(clock: Clock, policy: AuditPolicy, write: (event: object) => void): Auditor {
  return (auditId, raw) => {
    const receivedAt = timestamp(clock.nowMs());
    const annotations = new Map<string, string>();
    let body: Uint8Array | undefined;
    let about: { info: RequestInfo; user: UserInfo; impersonated: UserInfo | undefined } | undefined;
    let decision: AuditDecision | undefined;
    const request: ApiRequest = {
      ...raw,
      body: async () => (body = await raw.body()),
      annotate: (key, value) => void annotations.set(key, value),
    };
    const tell = (stage: AuditStage, more: object): void => {
      if (!about || !decision || decision.level === 'None' || decision.omitStages.has(stage)) return;
      const { info, user, impersonated } = about;
      write({
        kind: 'Event',
        apiVersion: 'audit.k8s.io/v1',
        level: decision.level,
        auditID: auditId,
        stage,
        requestURI: raw.target,
        verb: info.verb,
        user: userOf(user),
        ...(impersonated && { impersonatedUser: userOf(impersonated) }),
        sourceIPs: raw.peer.address ? [raw.peer.address] : [],
        userAgent: raw.headers['user-agent'] ?? '',
        ...(info.isResource && { objectRef: referenceOf(info) }),
        ...more,
        requestReceivedTimestamp: receivedAt,
        stageTimestamp: timestamp(clock.nowMs()),
        ...(annotations.size > 0 && { annotations: Object.fromEntries(annotations) }),
      });
    };
    return {
      request,
      identified: (info, user, impersonated) => {
        about = { info, user, impersonated };
        decision = policy(user, info);
        tell('RequestReceived', {});
      },
      answered: (reply, error) => {
        // Who asked was not found out: the refusal itself is worth an event.
        const info = about ? undefined : parseRequestInfo(raw.method, raw.path, raw.query);
        if (info) {
          about = { info, user: NOBODY, impersonated: undefined };
          const asked = policy(NOBODY, info);
          decision = asked.level === 'None' ? asked : { ...asked, level: 'Metadata' };
        }
        const streamed = reply !== undefined && !(reply.body instanceof Uint8Array);
        const code = reply?.status ?? 101;
        const responseStatus = error
          ? { metadata: {}, status: 'Failure', message: error.message, reason: error.reason, code }
          : { metadata: {}, code };
        const objects = decision ? objectsOf(decision, body, raw, reply) : {};
        tell(streamed ? 'ResponseStarted' : 'ResponseComplete', { responseStatus, ...objects });
      },
    };
  };
}

function userOf(user: UserInfo): object {
  return {
    username: user.username,
    ...(user.uid && { uid: user.uid }),
    groups: user.groups,
    ...(user.extra && { extra: user.extra }),
  };
}

function referenceOf(info: RequestInfo): object {
  const { resource, namespace, name, group, version, subresource } = info;
  return {
    resource,
    ...(namespace && { namespace }),
    ...(name && { name }),
    ...(group && { apiGroup: group }),
    apiVersion: version,
    ...(subresource && { subresource }),
  };
}

function objectsOf(
  { level, omitManagedFields }: AuditDecision,
  body: Uint8Array | undefined,
  request: ApiRequest,
  reply: Reply | undefined,
): { requestObject?: unknown; responseObject?: unknown } {
  if (level !== 'Request' && level !== 'RequestResponse') return {};
  const shown = (value: unknown): unknown => (omitManagedFields ? withoutManagedFields(value) : value);
  const requestObject = body && body.length > 0 ? readBody(body, request.headers['content-type']) : undefined;
  const replyBytes =
    level === 'RequestResponse' && reply?.body instanceof Uint8Array ? reply.body : undefined;
  const isJson = reply?.headers['content-type']?.startsWith('application/json') === true;
  const responseObject = replyBytes && isJson ? readBody(replyBytes, 'application/json') : undefined;
  return {
    ...(requestObject !== undefined && { requestObject: shown(requestObject) }),
    ...(responseObject !== undefined && { responseObject: shown(responseObject) }),
  };
}

/** What is no document (a patch of its own media type, a broken body) is told as text. */
function readBody(body: Uint8Array, contentType: string | undefined): unknown {
  const type =
    contentType?.includes('protobuf') || contentType?.includes('yaml') ? contentType : 'application/json';
  try {
    return decodeDocument(body, type).value;
  } catch {
    return Buffer.from(body).toString('utf8');
  }
}

function withoutManagedFields(value: unknown): unknown {
  if (!isObject(value)) return value;
  if (Array.isArray(value['items']))
    return { ...value, items: objectsAt(value, 'items').map(withoutManagedFields) };
  if (!isObject(value['metadata'])) return value;
  const { managedFields: _, ...metadata } = objectAt(value, 'metadata');
  return { ...value, metadata } satisfies JsonObject;
}
