import { expect, test } from 'vitest';
import type { EndpointSlice } from '../../src/api/kinds/endpoint-slice.ts';
import { type Cidr, cidrAddressAt, parseCidr } from '../../src/net/cidr.ts';
import { splitHostPort } from '../../src/net/ip.ts';
import type { ProxyMode } from '../../proxy/backend.ts';
import {
  type CaseGroup,
  CaseWorld,
  PROXY_CASES,
  type Sequence,
  type SequenceRule,
  type SequenceStep,
} from './backend.ts';

/** One connection of a sequence and where it went. */
export interface Connection {
  readonly client: string;
  readonly verdict: 'dnat' | 'reject' | 'drop' | 'pass';
  /** `ip:port`, when it reached one. */
  readonly backend: string | undefined;
  readonly masquerade?: boolean;
}

/** Opens connections through a proxy that follows the world. */
export interface SequencePlayer {
  /** Moves time on; steps come in order. */
  advanceTo(seconds: number): Promise<void>;
  connect(from: string, to: string, sourcePort: number | undefined): Promise<Connection>;
  /** The world changed; resolves when the proxy serves it. */
  applied(): Promise<void>;
}

export interface SequenceCasesOptions {
  readonly mode: ProxyMode;
  readonly player: (world: CaseWorld) => Promise<SequencePlayer & AsyncDisposable>;
  /** Sequences this player cannot play, with the reason. */
  readonly skip?: Readonly<Record<string, string>>;
  /**
   * How many times faster time runs in a sequence: steps and affinity timeouts are shorter by it. Infinity: steps
   * follow at once and timeouts stay.
   */
  readonly haste?: (sequence: string) => number;
}

/** Every sequence that names the mode, each a test of its own. */
export function sequenceCases({ mode, player, skip = {}, haste = () => 1 }: SequenceCasesOptions): void {
  for (const sequence of PROXY_CASES.sequences.filter(({ modes }) => modes.includes(mode))) {
    test(`${mode}: ${sequence.id}: ${sequence.title}`, async (context) => {
      const reason = skip[sequence.id];
      if (reason !== undefined) context.skip(reason);
      const factor = haste(sequence.id);
      const world = new CaseWorld(hastened(groupOf(sequence), factor));
      await using played = await player(world);
      const connections = await play(sequence, world, played, factor);
      for (const rule of sequence.expect) check(rule, connections);
    });
  }
}

function groupOf(sequence: Sequence): CaseGroup {
  return PROXY_CASES.groups.find(({ id }) => id === sequence.group)!;
}

/** The group with affinity timeouts of whole seconds, `haste` times shorter. */
function hastened(group: CaseGroup, haste: number): CaseGroup {
  if (haste === 1 || haste === Infinity) return group;
  const objects = structuredClone(group.objects);
  for (const object of objects) {
    const { spec } = object as {
      spec?: { sessionAffinityConfig?: { clientIP?: { timeoutSeconds: number } } };
    };
    const clientIP = spec?.sessionAffinityConfig?.clientIP;
    if (clientIP) clientIP.timeoutSeconds = Math.ceil(clientIP.timeoutSeconds / haste);
  }
  return { ...group, objects };
}

async function play(
  sequence: Sequence,
  world: CaseWorld,
  player: SequencePlayer,
  haste: number,
): Promise<ReadonlyMap<string, readonly Connection[]>> {
  const group = groupOf(sequence);
  const slices = group.objects.filter(({ kind }) => kind === 'EndpointSlice') as EndpointSlice[];
  const connections = new Map<string, readonly Connection[]>();
  for (const step of sequence.steps) {
    await player.advanceTo(step.at / haste);
    if (step.do === 'connect') connections.set(step.as, await connectAll(step, player));
    else {
      change(step, world, slices, connections);
      await player.applied();
    }
  }
  return connections;
}

async function connectAll(
  step: Extract<SequenceStep, { do: 'connect' }>,
  player: SequencePlayer,
): Promise<readonly Connection[]> {
  const range = step.from.includes('/') ? parseCidr(step.from) : undefined;
  const found: Connection[] = [];
  for (let i = 0; i < (step.count ?? 1); i++) {
    const from = range ? clientAt(range, i) : step.from;
    found.push(await player.connect(from, step.to, step.sourcePort));
  }
  return found;
}

function clientAt(range: Cidr, i: number): string {
  const address = cidrAddressAt(range, BigInt(i + 1));
  if (address === undefined) throw new Error(`the range has no address ${i + 1}`);
  return address;
}

function change(
  step: Exclude<SequenceStep, { do: 'connect' }>,
  { tracker }: CaseWorld,
  slices: EndpointSlice[],
  connections: ReadonlyMap<string, readonly Connection[]>,
): void {
  if (step.do === 'apply') tracker.upsert(step.object);
  else if (step.do === 'delete') tracker.remove(step.object);
  else {
    const address = splitHostPort(connections.get(step.of)?.[0]?.backend ?? '')?.host;
    for (const [i, slice] of slices.entries()) {
      const owner = `${slice.metadata.namespace}/${slice.metadata.labels?.['kubernetes.io/service-name']}`;
      if (owner !== step.service) continue;
      const endpoints = (slice.endpoints ?? []).flatMap((endpoint) => {
        if (endpoint.addresses[0] !== address) return [endpoint];
        return step.do === 'removeEndpointOf' ? [] : [{ ...endpoint, conditions: step.conditions }];
      });
      slices[i] = { ...slice, endpoints };
      tracker.upsert(slices[i]);
    }
  }
  tracker.flush();
}

function check(rule: SequenceRule, connections: ReadonlyMap<string, readonly Connection[]>): void {
  const labels = typeof rule.of === 'string' ? [rule.of] : rule.of;
  const [first = [], second = []] = labels.map((label) => connections.get(label) ?? []);
  const key = ({ backend = '' }: Connection): string =>
    rule.compare === 'ip' ? (splitHostPort(backend)?.host ?? '') : backend;
  switch (rule.rule) {
    case 'sameBackend':
      expect(second.map(key)).toEqual(first.map(key));
      return;
    case 'differentBackend':
      expect(key(second[0]!)).not.toBe(key(first[0]!));
      return;
    case 'someDiffer':
      expect(first.some((each, i) => key(each) !== key(second[i]!))).toBe(true);
      return;
    case 'verdict':
      expect(first.map(({ verdict }) => verdict)).toEqual(first.map(() => rule.is));
      return;
    case 'masquerade':
      expect(first.map(({ masquerade }) => masquerade)).toEqual(first.map(() => rule.is));
      return;
    case 'backendIn':
      for (const each of first) expect(rule.set).toContain(each.backend);
      return;
    case 'share':
      for (const [backend, [low, high]] of Object.entries(rule.each ?? {})) {
        const share = first.filter((each) => each.backend === backend).length / first.length;
        expect(share).toBeGreaterThanOrEqual(low);
        expect(share).toBeLessThanOrEqual(high);
      }
      return;
    default:
      throw new Error(`no such rule: ${rule.rule}`);
  }
}
