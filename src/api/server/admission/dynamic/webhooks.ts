import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { Counter, type Registry } from '../../../../base/metrics.ts';
import { messageOf } from '../../../../base/fault.ts';
import {
  arrayAt,
  cloneJson,
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../../../kinds/json-value.ts';
import type { UnknownObject } from '../../../kinds/meta.ts';
import type { KindInfo } from '../../../kinds/registry.ts';
import { decodeObject } from '../../http/body.ts';
import { applyJsonPatch } from '../../patch/json-patch.ts';
import { badRequest, internalError, StatusError } from '../../status.ts';
import type { Core } from '../../verbs/context.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { objectsOf } from '../objects.ts';
import { authorizerOf, conditionsHold, type Decide, variablesOf } from './expressions.ts';
import { inVersion, isExempt, matchedKind, matchSourceOfWebhook, namespaceObject } from './matching.ts';
import { requestData } from './request-data.ts';
import type { WebhookClient } from './webhook-client.ts';

const GROUP = 'admissionregistration.k8s.io';

interface Hook {
  readonly webhook: JsonObject;
  readonly name: string;
  readonly kind: KindInfo;
}

/** Mutating and validating admission webhooks: AdmissionReview v1 over TLS. */
export class Webhooks {
  readonly mutating: AdmissionPlugin = {
    name: 'MutatingAdmissionWebhook',
    admit: (request) => this.#mutate(request),
    connect: (request) => this.#mutate(request),
  };
  readonly validating: AdmissionPlugin = {
    name: 'ValidatingAdmissionWebhook',
    validate: (request) => this.#judge(request),
    connect: (request) => this.#judge(request),
  };
  readonly #core: Core;
  readonly #client: WebhookClient;
  readonly #decide: Decide;
  readonly #failures: Counter<'name'>;

  constructor(deps: { core: Core; client: WebhookClient; decide: Decide; metrics: Registry }) {
    const { core, client, decide, metrics } = deps;
    this.#core = core;
    this.#client = client;
    this.#decide = decide;
    this.#failures = new Counter({
      name: 'apiserver_admission_webhook_fail_open_count',
      help: 'Calls that failed and were ignored, as the webhook asks',
      labelNames: ['name'],
      registers: [metrics],
    });
  }

  async #mutate(request: AdmissionRequest): Promise<void> {
    if (isExempt(request)) return;
    const plural = 'mutatingwebhookconfigurations';
    const called = new Set<JsonObject>();
    let changedLast: JsonObject | undefined;
    const round = async (again: boolean): Promise<void> => {
      for (const webhook of this.#webhooks(plural)) {
        if (
          again &&
          (!called.has(webhook) || webhook['reinvocationPolicy'] !== 'IfNeeded' || webhook === changedLast)
        ) {
          continue;
        }
        const hook = this.#hookFor(webhook, request);
        if (!hook) continue;
        called.add(webhook);
        if (await this.#mutateBy(hook, request)) changedLast = webhook;
      }
    };
    await round(false);
    // Whoever came before the last change may look once more.
    if (changedLast && called.size > 1) await round(true);
  }

  async #mutateBy(hook: Hook, request: AdmissionRequest): Promise<boolean> {
    const response = await this.#call(hook, request);
    if (!response) return false;
    this.#settle(hook, request, response);
    const patch = stringAt(response, 'patch');
    if (!patch || !request.object) return false;
    if (response['patchType'] !== 'JSONPatch') {
      throw internalError(`admission webhook ${JSON.stringify(hook.name)} sent a patch of an unknown type`);
    }
    return this.#applyPatch(hook, request, request.object, patch);
  }

  #applyPatch(
    hook: Hook,
    { kind, operation }: AdmissionRequest,
    object: UnknownObject,
    patch: string,
  ): boolean {
    let patched: unknown;
    try {
      const operations = JSON.parse(Buffer.from(patch, 'base64').toString('utf8')) as unknown;
      patched = applyJsonPatch(inVersion(cloneJson(object), kind, hook.kind), operations);
    } catch (error) {
      throw internalError(
        `the patch of admission webhook ${JSON.stringify(hook.name)} failed: ${messageOf(error)}`,
      );
    }
    if (operation === 'CONNECT') return replaced(object, objectAt({ patched }, 'patched'));
    const lenient = { fieldValidation: 'Ignore', warn: () => {} } as const;
    const read = decodeObject(hook.kind, { value: patched, duplicates: [] }, undefined, lenient);
    const made = inVersion(read, hook.kind, kind) ?? read;
    const { name, namespace, uid } = object.metadata;
    Object.assign(made.metadata, { name }, namespace && { namespace }, uid && { uid });
    kind.defaults(made);
    return replaced(object, made);
  }

  async #judge(request: AdmissionRequest): Promise<void> {
    if (isExempt(request)) return;
    const hooks = this.#webhooks('validatingwebhookconfigurations').flatMap(
      (webhook) => this.#hookFor(webhook, request) ?? [],
    );
    await Promise.all(
      hooks.map(async (hook) => {
        const response = await this.#call(hook, request);
        if (response) this.#settle(hook, request, response);
      }),
    );
  }

  /** In the order of their configurations' names. */
  #webhooks(plural: string): JsonObject[] {
    return objectsOf(this.#core, GROUP, plural, '').flatMap((one) => objectsAt(one, 'webhooks'));
  }

  #hookFor(webhook: JsonObject, request: AdmissionRequest): Hook | undefined {
    const kind = matchedKind(this.#core, matchSourceOfWebhook(webhook), request);
    if (!kind) return undefined;
    const name = stringAt(webhook, 'name');
    const held = conditionsHold(webhook, () =>
      variablesOf({
        object: inVersion(request.object, request.kind, kind),
        oldObject: inVersion(request.old, request.kind, kind),
        request: requestData(request, kind, ''),
        namespaceObject: namespaceObject(this.#core, request.namespace),
        authorizer: authorizerOf(this.#decide, request),
      }),
    );
    if (held.ok) return held.holds ? { webhook, name, kind } : undefined;
    if (webhook['failurePolicy'] === 'Ignore') return undefined;
    throw internalError(
      `matchConditions of webhook ${JSON.stringify(name)} cannot be evaluated: ${held.message}`,
    );
  }

  /** Undefined when the call failed and its policy is to go on. */
  async #call(hook: Hook, request: AdmissionRequest): Promise<JsonObject | undefined> {
    const { webhook, name, kind } = hook;
    const effects = webhook['sideEffects'];
    if (request.dryRun && effects !== 'None' && effects !== 'NoneOnDryRun') {
      throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
    }
    const uid = randomUUID();
    const data = {
      ...requestData(request, kind, uid),
      object: inVersion(request.object, request.kind, kind) ?? null,
      oldObject: inVersion(request.old, request.kind, kind) ?? null,
    };
    const review = { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request: data };
    const reply = await this.#client.review(webhook, review, uid);
    if (reply.ok) return reply.response;
    if (webhook['failurePolicy'] !== 'Ignore') {
      throw internalError(`failed calling webhook ${JSON.stringify(name)}: ${reply.message}`);
    }
    this.#failures.inc({ name });
    this.#core.log.warn('webhook failed, going on', { webhook: name, reason: reply.message });
    return undefined;
  }

  #settle({ name }: Hook, request: AdmissionRequest, response: JsonObject): void {
    for (const text of arrayAt(response, 'warnings')) if (typeof text === 'string') request.warn(text);
    for (const [key, value] of Object.entries(objectAt(response, 'auditAnnotations'))) {
      request.annotate?.(`${name}/${key}`, String(value));
    }
    if (response['allowed'] !== true) throw denial(name, objectAt(response, 'status'));
  }
}

/** Makes the object like another one, in place; false when it is. */
function replaced(object: UnknownObject, made: JsonObject | UnknownObject): boolean {
  if (equalJson(made, object)) return false;
  for (const key of Object.keys(object)) delete object[key];
  Object.assign(object, made);
  return true;
}

const CODE_MIN = 400;
const CODE_MAX = 599;

function denial(name: string, status: JsonObject): StatusError {
  const { code } = status;
  const inRange = typeof code === 'number' && code >= CODE_MIN && code <= CODE_MAX;
  const [message, reason] = [stringAt(status, 'message'), stringAt(status, 'reason')];
  const head = `admission webhook ${JSON.stringify(name)} denied the request`;
  const text = message || reason ? `${head}: ${message || reason}` : `${head} without explanation`;
  const details = isObject(status['details']) ? status['details'] : undefined;
  return new StatusError(inRange ? code : CODE_MIN, reason, text, details);
}
