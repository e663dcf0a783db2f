import { timeMs } from '../decode/time.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import type { Printer } from '../registry.ts';
import { humanDuration } from './duration.ts';
import { AGE, NAME, orNone, printer, text, textAt, wide } from './printer.ts';

/** What the READY, STATUS and RESTARTS cells of a pod say. */
export interface PodSummary {
  readonly status: string;
  readonly ready: number;
  readonly total: number;
  readonly restarts: number;
  readonly lastRestartMs: number | undefined;
}

interface Tally {
  reason: string;
  ready: number;
  restarts: number;
  lastRestartMs: number;
}

/** Reads the one line a user sees of a pod, by the rules of kubectl get pods. */
export function summarizePod(pod: unknown): PodSummary {
  const status = objectAt(pod, 'status');
  const spec = objectAt(pod, 'spec');
  const inits = objectsAt(spec, 'initContainers');
  const sidecars = new Set(
    inits.filter((one) => one['restartPolicy'] === 'Always').map((one) => stringAt(one, 'name')),
  );
  const tally: Tally = { reason: baseReason(status), ready: 0, restarts: 0, lastRestartMs: -Infinity };
  const sidecarTally = { restarts: 0, lastRestartMs: -Infinity };
  const initializing = readInits(status, inits.length, sidecars, tally, sidecarTally);
  if (!initializing || conditionIs(status, 'Initialized', 'True')) {
    tally.restarts = sidecarTally.restarts;
    tally.lastRestartMs = sidecarTally.lastRestartMs;
    readContainers(status, tally);
  }
  return {
    status: deletionReason(pod, status) ?? tally.reason,
    ready: tally.ready,
    total: arrayAt(spec, 'containers').length + sidecars.size,
    restarts: tally.restarts,
    lastRestartMs: tally.restarts > 0 && tally.lastRestartMs > 0 ? tally.lastRestartMs : undefined,
  };
}

function baseReason(status: JsonObject): string {
  const gated = objectsAt(status, 'conditions').some(
    (one) => one['type'] === 'PodScheduled' && one['reason'] === 'SchedulingGated',
  );
  return gated ? 'SchedulingGated' : stringAt(status, 'reason') || stringAt(status, 'phase');
}

function deletionReason(pod: unknown, status: JsonObject): string | undefined {
  if (objectAt(pod, 'metadata')['deletionTimestamp'] === undefined) return undefined;
  if (status['reason'] === 'NodeLost') return 'Unknown';
  const phase = stringAt(status, 'phase');
  return phase === 'Failed' || phase === 'Succeeded' ? undefined : 'Terminating';
}

/** True when an init container is not done yet; the reason then says which and why. */
function readInits(
  status: JsonObject,
  total: number,
  sidecars: ReadonlySet<string>,
  tally: Tally,
  sidecarTally: { restarts: number; lastRestartMs: number },
): boolean {
  for (const [index, one] of objectsAt(status, 'initContainerStatuses').entries()) {
    countRestarts(one, tally);
    const sidecar = sidecars.has(stringAt(one, 'name'));
    if (sidecar) countRestarts(one, sidecarTally);
    const state = objectAt(one, 'state');
    const terminated = isObject(state['terminated']) ? state['terminated'] : undefined;
    if (terminated && (numberAt(terminated, 'exitCode') ?? 0) === 0) continue;
    if (sidecar && one['started'] === true) {
      if (one['ready'] === true) tally.ready += 1;
      continue;
    }
    const waiting = stringAt(state['waiting'], 'reason');
    if (terminated) tally.reason = `Init:${terminatedReason(terminated)}`;
    else if (waiting !== '' && waiting !== 'PodInitializing') tally.reason = `Init:${waiting}`;
    else tally.reason = `Init:${index}/${total}`;
    return true;
  }
  return false;
}

function readContainers(status: JsonObject, tally: Tally): void {
  let running = false;
  for (const one of objectsAt(status, 'containerStatuses').reverse()) {
    countRestarts(one, tally);
    const state = objectAt(one, 'state');
    const waiting = stringAt(state['waiting'], 'reason');
    if (waiting !== '') tally.reason = waiting;
    else if (isObject(state['terminated'])) tally.reason = terminatedReason(state['terminated']);
    else if (one['ready'] === true && isObject(state['running'])) {
      running = true;
      tally.ready += 1;
    }
  }
  if (tally.reason === 'Completed' && running) {
    tally.reason = conditionIs(status, 'Ready', 'True') ? 'Running' : 'NotReady';
  }
}

function terminatedReason(terminated: JsonObject): string {
  const signal = numberAt(terminated, 'signal') ?? 0;
  const code = signal > 0 ? `Signal:${signal}` : `ExitCode:${numberAt(terminated, 'exitCode') ?? 0}`;
  return stringAt(terminated, 'reason') || code;
}

function countRestarts(status: JsonObject, tally: { restarts: number; lastRestartMs: number }): void {
  tally.restarts += numberAt(status, 'restartCount') ?? 0;
  const finished = timeMs(objectAt(objectAt(status, 'lastState'), 'terminated')['finishedAt']);
  if (finished !== undefined) tally.lastRestartMs = Math.max(tally.lastRestartMs, finished);
}

function conditionIs(status: JsonObject, type: string, value: string): boolean {
  return objectsAt(status, 'conditions').some((one) => one['type'] === type && one['status'] === value);
}

function restartsCell(pod: UnknownObject, nowMs: number): string {
  const { restarts, lastRestartMs } = summarizePod(pod);
  return lastRestartMs === undefined
    ? String(restarts)
    : `${restarts} (${humanDuration(nowMs - lastRestartMs)} ago)`;
}

function podIp(pod: UnknownObject): string {
  const [first] = objectsAt(pod['status'], 'podIPs');
  return orNone(stringAt(first, 'ip') || textAt(pod, 'status.podIP'));
}

function readinessGates(pod: UnknownObject): string {
  const gates = objectsAt(pod['spec'], 'readinessGates');
  if (gates.length === 0) return '<none>';
  const status = objectAt(pod, 'status');
  const met = gates.filter((gate) => conditionIs(status, stringAt(gate, 'conditionType'), 'True'));
  return `${met.length}/${gates.length}`;
}

export const POD_PRINTER: Printer = printer([
  NAME,
  text('Ready', (pod) => {
    const { ready, total } = summarizePod(pod);
    return `${ready}/${total}`;
  }),
  text('Status', (pod) => summarizePod(pod).status),
  text('Restarts', restartsCell),
  AGE,
  wide(text('IP', podIp)),
  wide(text('Node', (pod) => orNone(textAt(pod, 'spec.nodeName')))),
  wide(text('Nominated Node', (pod) => orNone(textAt(pod, 'status.nominatedNodeName')))),
  wide(text('Readiness Gates', readinessGates)),
]);
