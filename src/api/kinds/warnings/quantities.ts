import { isObject } from '../json-value.ts';
import { formatQuantity, parseQuantity, quantityMillis } from '../quantity.ts';

const BYTES = ['memory', 'ephemeral-storage'] as const;

/** Of amounts of bytes that are no whole number of them. */
export function fractionWarnings(amounts: unknown, path: string, names: readonly string[] = BYTES): string[] {
  return names.flatMap((name) => {
    const quantity = isObject(amounts) ? parseQuantity(amounts[name]) : undefined;
    if (!quantity || quantityMillis(quantity) % 1000 === 0) return [];
    const text = formatQuantity(quantity);
    return [`${path}[${name}]: fractional byte value "${text}" is invalid, must be an integer`];
  });
}

/** Of the spec of a PersistentVolumeClaim. */
export function claimWarnings(spec: unknown, path: string): string[] {
  const resources = isObject(spec) && isObject(spec['resources']) ? spec['resources'] : {};
  return ['requests', 'limits'].flatMap((which) =>
    fractionWarnings(resources[which], `${path}.resources.${which}`, ['storage']),
  );
}
