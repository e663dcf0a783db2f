import type { PodTemplate } from '../../api/kinds/apps.ts';
import { sameValue } from '../../base/same-value.ts';

export const POD_TEMPLATE_HASH = 'pod-template-hash';

/** Letters that can make no words and need no escape, as Kubernetes uses for generated names. */
const SAFE = 'bcdfghjklmnpqrstvwxz2456789';

/** FNV-1a over the value's canonical JSON, in SAFE letters. The collision count makes another hash of the same. */
export function safeHash(value: unknown, collisionCount = 0): string {
  let hash = 0x811c9dc5;
  const text = canonicalJson(value) + (collisionCount > 0 ? `#${collisionCount}` : '');
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return Array.from(String(hash), (digit) => SAFE[digit.charCodeAt(0) % SAFE.length]).join('');
}

/** JSON with sorted keys and without undefined. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** The same pods would come of both: equal but for the pod-template-hash label. */
export function sameTemplate(a: PodTemplate, b: PodTemplate): boolean {
  return sameValue(comparable(a), comparable(b));
}

function comparable(template: PodTemplate): unknown {
  const { labels = {}, annotations = {} } = template.metadata ?? {};
  const { [POD_TEMPLATE_HASH]: _, ...rest } = labels;
  return { labels: rest, annotations, spec: template.spec };
}
