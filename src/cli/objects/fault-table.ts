import type { ManifestError } from '../../api/client/manifest-parse.ts';
import { renderTable } from '../text-table.ts';

/** What of the manifests failed, where it is written and in the API's own words. */
export function renderFaults(faults: readonly ManifestError[]): string {
  const rows = faults.map(({ file, line, field, message }) => [`${file}:${line}`, field || '-', message]);
  return renderTable(['FAILED', 'FIELD', 'MESSAGE'], rows);
}
