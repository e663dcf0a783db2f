import { readFileSync } from 'node:fs';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import type { Message } from '../../../dns/wire/message.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import type { CannedReply } from './canned-upstream.ts';

export interface CaseConfig {
  readonly zones: readonly string[];
  readonly pods?: string;
  readonly endpointPodNames?: boolean;
  readonly ttl?: number;
  readonly noEndpoints?: boolean;
  readonly ignoreEmptyService?: boolean;
  readonly fallthrough?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly namespaceLabels?: string;
  readonly labels?: string;
  readonly multiclusterZones?: readonly string[];
  readonly zonal?: boolean;
  readonly external?: { zones: readonly string[]; ttl?: number; headless?: boolean; apex?: string };
  readonly autopath?: { zones: readonly string[]; search: readonly string[] };
  readonly transfer?: boolean;
  readonly serverIPs?: readonly string[];
  readonly synced?: boolean;
  readonly upstream?: readonly CannedReply[];
  readonly noUpstream?: boolean;
  readonly clientIP?: string;
}

export interface DnsCase {
  readonly id: string;
  readonly q: string;
  readonly type: string;
  readonly class?: string;
  readonly rcode: string;
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  readonly additional: readonly string[];
  readonly flags?: Readonly<Record<string, boolean>>;
  readonly transport?: 'udp' | 'tcp';
  readonly edns?: { size?: number; do?: boolean; version?: number };
  readonly partial?: boolean;
  readonly maxSize?: number;
  readonly clientIP?: string;
  readonly level: 'spec' | 'coredns';
  readonly quirk?: boolean;
  readonly note: string;
}

export interface CaseGroup {
  readonly id: string;
  readonly config: CaseConfig;
  readonly objects: readonly KubeObject[];
  readonly cases: readonly DnsCase[];
}

export function readCases(): readonly CaseGroup[] {
  const file = new URL('../../cases/dns.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { groups: CaseGroup[] }).groups;
}

/** The Corefile that says what a group's config says. */
export function corefileOf(config: CaseConfig, upstreamPort: number | undefined): string {
  const lines = [`kubernetes ${config.zones.join(' ')} {`, ...kubernetesLines(config), '}'];
  if (config.external) {
    const { zones, ttl, headless, apex } = config.external;
    lines.push(`k8s_external ${zones.join(' ')} {`);
    if (ttl !== undefined) lines.push(`ttl ${ttl}`);
    if (headless) lines.push('headless');
    if (apex) lines.push(`apex ${apex}`);
    lines.push('}');
  }
  if (config.autopath) lines.push(`autopath ${config.autopath.zones.join(' ')} @kubernetes`);
  if (config.transfer) lines.push('transfer {', 'to *', '}');
  if (upstreamPort !== undefined) lines.push(`forward . 127.0.0.1:${upstreamPort}`);
  return `. {\n${lines.join('\n')}\n}\n`;
}

function kubernetesLines(config: CaseConfig): string[] {
  const lines: (string | false | undefined)[] = [
    'startup_timeout 0s',
    config.pods !== undefined && `pods ${config.pods}`,
    config.endpointPodNames && 'endpoint_pod_names',
    config.ttl !== undefined && `ttl ${config.ttl}`,
    config.noEndpoints && 'noendpoints',
    config.ignoreEmptyService && 'ignore empty_service',
    config.fallthrough && `fallthrough ${config.fallthrough.join(' ')}`,
    config.namespaces && `namespaces ${config.namespaces.join(' ')}`,
    config.namespaceLabels !== undefined && `namespace_labels ${config.namespaceLabels}`,
    config.labels !== undefined && `labels ${config.labels}`,
    config.multiclusterZones && `multicluster ${config.multiclusterZones.join(' ')}`,
    config.zonal && 'zonal',
  ];
  return lines.filter((line) => typeof line === 'string');
}

/** What of the reply differs from the case; empty = nothing. */
export function differences(wanted: DnsCase, got: Message, sizeBytes: number, messages: Message[]): string[] {
  const found: string[] = [];
  if (got.rcode !== wanted.rcode) found.push(`rcode ${got.rcode}, want ${wanted.rcode}`);
  const answerRecords = messages.flatMap((message) => message.answers).map(formatRecord);
  found.push(...sectionDifferences('answer', wanted.answer, answerRecords, wanted.partial ?? false));
  found.push(...sectionDifferences('authority', wanted.authority, got.authorities.map(formatRecord), false));
  if (!wanted.partial) {
    found.push(
      ...sectionDifferences('additional', wanted.additional, got.additionals.map(formatRecord), false),
    );
  }
  for (const [flag, value] of Object.entries(wanted.flags ?? {})) {
    if (flagOf(got, flag) !== value) found.push(`flag ${flag} is ${flagOf(got, flag)}, want ${value}`);
  }
  if (wanted.maxSize !== undefined && sizeBytes > wanted.maxSize) found.push(`${sizeBytes} bytes`);
  return found;
}

function flagOf(message: Message, flag: string): boolean | undefined {
  switch (flag) {
    case 'aa':
      return message.authoritative;
    case 'tc':
      return message.truncated;
    case 'ra':
      return message.recursionAvailable;
    case 'rd':
      return message.recursionDesired;
    case 'ad':
      return message.authenticData;
    case 'opt':
      return message.edns !== undefined;
    case 'do':
      return message.edns?.dnssecOk ?? false;
    default:
      throw new Error(`unknown flag ${flag}`);
  }
}

function sectionDifferences(
  section: string,
  wanted: readonly string[],
  got: readonly string[],
  partial: boolean,
): string[] {
  const rest = [...got];
  const missing = wanted.filter((line) => {
    const at = rest.findIndex((other) => sameRecord(line, other));
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
  const found = rest.map((line) => `${section}: extra ${line}`);
  if (partial) {
    if (missing.length === 0 || got.length === 0) found.push(`${section}: not a part`);
    return found;
  }
  return [...found, ...missing.map((line) => `${section}: missing ${line}`)];
}

/** A star as ttl or SOA serial matches anything. */
function sameRecord(wanted: string, got: string): boolean {
  const a = wanted.split(' ');
  const b = got.split(' ');
  if (a.length !== b.length) return false;
  return a.every((word, i) => {
    if (word === '*') return true;
    if (word.includes(':') && i === a.length - 1) return normalized(word) === normalized(b[i]!);
    return word === b[i];
  });
}

function normalized(address: string): string {
  return URL.canParse(`http://[${address}]/`) ? new URL(`http://[${address}]/`).hostname : address;
}
