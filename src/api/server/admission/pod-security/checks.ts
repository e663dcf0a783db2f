import * as baseline from './baseline.ts';
import * as restricted from './restricted.ts';
import type { Check, Subject, Violation } from './subject.ts';

export type Level = 'privileged' | 'baseline' | 'restricted';

interface Rule {
  readonly check: Check;
  /** First minor version of the standards with it; absent = all. */
  readonly since?: number;
  /** First minor version without it. */
  readonly until?: number;
}

/** When the fields of seccomp came. */
const SECCOMP_FIELDS = 19;
/** When the level restricted began to judge capabilities itself. */
const RESTRICTED_CAPABILITIES = 22;

/** Of both levels; in the order upstream tells of them. */
const SHARED = {
  before: [{ check: baseline.appArmor }],
  ports: [
    { check: baseline.hostPorts },
    { check: baseline.hostProbes, since: 34 },
    { check: baseline.privileged },
  ],
  after: [{ check: baseline.sysctls }, { check: baseline.hostProcess }],
  annotations: { check: baseline.seccompAnnotations, until: SECCOMP_FIELDS },
} as const;

const BASELINE: readonly Rule[] = [
  ...SHARED.before,
  { check: baseline.capabilities },
  { check: baseline.hostNamespaces },
  { check: baseline.hostPath },
  ...SHARED.ports,
  { check: restricted.onHostUsers(baseline.procMount) },
  { check: baseline.seLinux },
  SHARED.annotations,
  { check: baseline.seccomp, since: SECCOMP_FIELDS },
  ...SHARED.after,
];

const RESTRICTED: readonly Rule[] = [
  ...SHARED.before,
  { check: baseline.capabilities, until: RESTRICTED_CAPABILITIES },
  { check: baseline.hostNamespaces },
  ...SHARED.ports,
  { check: baseline.procMount },
  { check: baseline.seLinux },
  SHARED.annotations,
  ...SHARED.after,
  { check: restricted.escalation, since: 8 },
  { check: restricted.restrictedCapabilities, since: RESTRICTED_CAPABILITIES },
  { check: restricted.volumes },
  { check: restricted.runAsNonRoot },
  { check: restricted.runAsUser, since: 23 },
  { check: restricted.restrictedSeccomp, since: SECCOMP_FIELDS },
];

const RULES: Readonly<Record<Level, readonly Rule[]>> = {
  privileged: [],
  baseline: BASELINE,
  restricted: RESTRICTED,
};

/** Pod Security Standards: what of a pod (or pod template) the level does not allow in that version. */
export function violations(level: Level, subject: Subject): Violation[] {
  const { minor } = subject;
  return RULES[level]
    .filter(({ since = 0, until }) => since <= minor && (until === undefined || minor < until))
    .flatMap(({ check }) => check(subject) ?? []);
}

/** `allowPrivilegeEscalation != false (container "a" must …), …`. */
export function violationText(found: readonly Violation[]): string {
  return found.map(({ rule, detail }) => `${rule} (${detail})`).join(', ');
}
