import { stringify } from 'yaml';
import { API_VERSION, FIELDS, type FieldPath, type FieldValues, KIND } from './fields.ts';
import { type BindAddress, durationMs } from './values.ts';
import { joinHostPort } from '../../src/net/ip.ts';

/** The settings in force as a KubeProxyConfiguration in YAML, every field said, sorted (`--write-config-to`). */
export function configText(values: FieldValues): string {
  return stringify(configObject(values), { version: '1.1', sortMapEntries: true });
}

/** The settings in force as a KubeProxyConfiguration, every field said. */
export function configObject(values: FieldValues): Readonly<Record<string, unknown>> {
  const root: Record<string, unknown> = { apiVersion: API_VERSION, kind: KIND };
  for (const path of Object.keys(FIELDS) as FieldPath[]) {
    const [section = '', name] = path.split('.');
    const value = written(path, values[path]);
    if (name === undefined) root[section] = value;
    else root[section] = { ...(root[section] as object | undefined), [name]: value };
  }
  return root;
}

function written(path: FieldPath, value: FieldValues[FieldPath]): unknown {
  if ((FIELDS[path].parse as unknown) === durationMs) return durationText(Number(value));
  if (path === 'clusterCIDR') return (value as readonly string[]).join(',');
  if (!path.endsWith('BindAddress')) return value;
  const { address, port } = (value as BindAddress | undefined) ?? { address: undefined, port: 0 };
  if (value === undefined) return '';
  return address === undefined ? `:${port}` : joinHostPort(address, port);
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** As Go writes a duration: 24h0m0s, 1m30s, 1.5s, 10ms. */
function durationText(ms: number): string {
  if (ms > 0 && ms < 1_000) return `${ms}ms`;
  const seconds = `${(ms % MINUTE_MS) / 1_000}s`;
  const minutes = `${Math.floor((ms % HOUR_MS) / MINUTE_MS)}m`;
  if (ms >= HOUR_MS) return `${Math.floor(ms / HOUR_MS)}h${minutes}${seconds}`;
  return ms >= MINUTE_MS ? minutes + seconds : seconds;
}
