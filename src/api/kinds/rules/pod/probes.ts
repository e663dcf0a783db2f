import { type FieldError, forbidden, invalid, required } from '../../field-error.ts';
import { httpHeaderName, portName, portNumber } from '../../formats.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../../json-value.ts';
import { addTexts, nonNegative, oneOf } from '../checks.ts';

const PROBE_HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc'];
const HOOK_HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'sleep'];
const PROBE_NUMBERS = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
];

/** Lifecycle hooks and probes of a container; hooks may not sleep longer than the pod's grace. */
export function validateHooksAndProbes(
  errors: FieldError[],
  container: JsonObject,
  at: string,
  graceSeconds: number | undefined,
): void {
  const lifecycle = objectAt(container, 'lifecycle');
  for (const hook of ['postStart', 'preStop']) {
    if (!isObject(lifecycle[hook])) continue;
    validateHandler(errors, lifecycle[hook], `${at}.lifecycle.${hook}`, HOOK_HANDLERS, graceSeconds);
  }
  for (const kind of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[kind];
    if (isObject(probe)) validateProbe(errors, probe, `${at}.${kind}`, kind !== 'readinessProbe');
  }
}

function validateProbe(errors: FieldError[], probe: JsonObject, at: string, once: boolean): void {
  validateHandler(errors, probe, at, PROBE_HANDLERS, undefined);
  for (const name of PROBE_NUMBERS) nonNegative(errors, probe, name, at);
  const field = `${at}.terminationGracePeriodSeconds`;
  const grace = numberAt(probe, 'terminationGracePeriodSeconds');
  if (grace !== undefined && grace <= 0) errors.push(invalid(field, grace, 'must be greater than 0'));
  const successes = numberAt(probe, 'successThreshold');
  if (once && successes !== undefined && successes !== 1)
    errors.push(invalid(`${at}.successThreshold`, successes, 'must be 1'));
  if (grace !== undefined && !once) errors.push(invalid(field, grace, 'must not be set for readinessProbes'));
}

function validateHandler(
  errors: FieldError[],
  handler: JsonObject,
  at: string,
  known: readonly string[],
  graceSeconds: number | undefined,
): void {
  const [kind, ...extra] = known.filter((name) => isObject(handler[name]));
  if (kind === undefined) {
    errors.push(required(at, 'must specify a handler type'));
    return;
  }
  const action = objectAt(handler, kind);
  if (kind === 'exec') {
    if (arrayAt(action, 'command').length === 0) errors.push(required(`${at}.exec.command`));
  } else if (kind === 'sleep') validateSleep(errors, action, `${at}.sleep`, graceSeconds);
  else validateNetworkAction(errors, action, `${at}.${kind}`, kind === 'httpGet');
  for (const name of extra)
    errors.push(forbidden(`${at}.${name}`, 'may not specify more than 1 handler type'));
}

function validateSleep(
  errors: FieldError[],
  action: JsonObject,
  at: string,
  graceSeconds: number | undefined,
): void {
  const seconds = numberAt(action, 'seconds') ?? 0;
  if (graceSeconds === undefined || (seconds >= 0 && seconds <= graceSeconds)) return;
  const text = `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`;
  errors.push(invalid(at, seconds, text));
}

function validateNetworkAction(errors: FieldError[], action: JsonObject, at: string, http: boolean): void {
  if (http && stringAt(action, 'path') === '') errors.push(required(`${at}.path`));
  const port = action['port'];
  if (typeof port === 'string') addTexts(errors, `${at}.port`, port, portName(port));
  else addTexts(errors, `${at}.port`, port ?? 0, portNumber(numberAt(action, 'port') ?? 0));
  if (!http) return;
  oneOf(errors, action, 'scheme', at, ['HTTP', 'HTTPS'], true);
  for (const header of objectsAt(action, 'httpHeaders')) {
    const name = stringAt(header, 'name');
    addTexts(errors, `${at}.httpHeaders`, name, httpHeaderName(name));
  }
}
