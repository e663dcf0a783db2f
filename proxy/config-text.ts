import { stringify } from 'yaml';
import { API_VERSION, KIND } from './config.ts';
import { FIELDS, type FieldPath, type FieldValues } from './config-fields.ts';
import { type BindAddress, durationMs } from './config-values.ts';
import { joinHostPort } from '../src/net/ip.ts';

/** The settings in force as a KubeProxyConfiguration in YAML, every field said (`--write-config-to`). */
export function configText(values: FieldValues): string {
  const root: Record<string, unknown> = { apiVersion: API_VERSION, kind: KIND };
  for (const path of Object.keys(FIELDS) as FieldPath[]) {
    const [section = '', name] = path.split('.');
    const value = written(path, values[path]);
    if (name === undefined) root[section] = value;
    else root[section] = { ...(root[section] as object | undefined), [name]: value };
  }
  return stringify(root, { version: '1.1' });
}

function written(path: FieldPath, value: FieldValues[FieldPath]): unknown {
  if ((FIELDS[path].parse as unknown) === durationMs) return `${Number(value) / 1000}s`;
  if (path === 'clusterCIDR') return (value as readonly string[]).join(',');
  if (!path.endsWith('BindAddress')) return value;
  const { address, port } = (value as BindAddress | undefined) ?? { address: undefined, port: 0 };
  if (value === undefined) return '';
  return address === undefined ? `:${port}` : joinHostPort(address, port);
}
