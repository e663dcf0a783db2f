/** One thing that was looked at, in order. */
export interface ExplainStep {
  /** tls, host, rule, redirect, access, canary, upstream, endpoint or answer. */
  readonly topic: string;
  readonly subject: string;
  readonly outcome: string;
}

/** What becomes of a request, and why. */
export interface Explanation {
  readonly steps: readonly ExplainStep[];
  /** `namespace/service:port`; null when none is asked. */
  readonly backend: string | null;
  /** Of our own answer; null when the backend answers. */
  readonly status: number | null;
  readonly location: string | undefined;
  /** Which rule gave our own answer. */
  readonly why: string | undefined;
  /** `namespace/name` of the Ingress whose rule was chosen. */
  readonly ingress: string | undefined;
  /** Secret of the certificate (`default`: none is configured), over TLS. */
  readonly certificate: string | undefined;
  readonly canary: boolean;
  /** Addresses the request may go to. */
  readonly endpoints: readonly string[];
  /** What the backend would see. */
  readonly upstream: { readonly target: string; readonly host: string } | undefined;
}

/** Lines for people: topic, subject, outcome. */
export function explanationText({ steps }: Explanation): string {
  const width = (pick: (step: ExplainStep) => string): number =>
    Math.max(0, ...steps.map((step) => pick(step).length));
  const topics = width(({ topic }) => topic) + 2;
  const subjects = Math.min(
    60,
    width(({ subject }) => subject),
  );
  return steps
    .map(({ topic, subject, outcome }) =>
      `${topic.padEnd(topics)}${subject.padEnd(subjects)}  ${outcome}`.trimEnd(),
    )
    .join('\n');
}

/** One line for a header field: the chosen steps and what lost, shortened. */
export function explanationLine(steps: readonly ExplainStep[], charsMax: number): string {
  const text = steps.map(({ topic, subject, outcome }) => `${topic} ${subject}: ${outcome}`).join('; ');
  const plain = text.replaceAll(/[^\u0020-\u007e]/g, '?');
  return plain.length <= charsMax ? plain : `${plain.slice(0, charsMax - 3)}...`;
}
