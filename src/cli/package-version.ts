import { readFileSync } from 'node:fs';

/** Version of the package this file is part of: two folders up in a clone, three in a build. */
export function packageVersion(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), 'utf8');
      const found = JSON.parse(text) as { name?: string; version?: string };
      if (found.name === 'weft' && found.version) return found.version;
    } catch {
      // not there: the other layout
    }
  }
  return 'unknown';
}
