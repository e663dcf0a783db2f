import type { Secret } from '../../src/api/kinds/config.ts';

/** A value of a Secret as text: stringData wins over data, as the API server would have written it. */
export function secretText(secret: Secret | undefined, key: string): string | undefined {
  const plain = secret?.stringData?.[key];
  if (plain !== undefined) return plain;
  const encoded = secret?.data?.[key];
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString('utf8');
}

/** All keys of a Secret with their values. */
export function secretEntries(secret: Secret): [string, string][] {
  const keys = new Set([...Object.keys(secret.data ?? {}), ...Object.keys(secret.stringData ?? {})]);
  return [...keys].map((key) => [key, secretText(secret, key) ?? '']);
}
