import { readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Fault } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { readMasterFileInTurns } from './master-file.ts';
import { ZoneData } from './zone-data.ts';

const FAULTS_SHOWN = 5;

/** A zone kept in a master file, read again when the file has changed and its serial with it. */
export class ZoneFile {
  readonly path: string;
  readonly origin: string;
  readonly why = 'the zone file could not be read';
  readonly #log: Logger;
  readonly #bySerial: boolean;
  #read = '';
  #zone: ZoneData | undefined;

  /** Without `bySerial` a file that has changed is taken whatever its serial says. */
  constructor(deps: { log: Logger }, path: string, origin: string, options: { bySerial?: boolean } = {}) {
    this.#log = deps.log;
    this.#bySerial = options.bySerial ?? true;
    this.path = path;
    this.origin = origin;
  }

  /** The newest good version. */
  get zone(): ZoneData | undefined {
    return this.#zone;
  }

  /**
   * Reads the file if it is another one than last time. True when there is a new version. Throws Fault ZONE_INVALID
   * (file and line) or ZONE_UNREADABLE; the version before stays.
   */
  async load(): Promise<boolean> {
    const mark = await fileMark(this.path);
    if (mark === this.#read) return false;
    const zone = await parseZone(this.path, await readFile(this.path, 'utf8'), this.origin, this.#log);
    this.#read = mark;
    if (this.#bySerial && this.#zone?.serial === zone.serial) {
      this.#log.warn('zone file changed without its serial, not reloaded', {
        path: this.path,
        serial: zone.serial,
      });
      return false;
    }
    this.#zone = zone;
    return true;
  }
}

async function fileMark(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (cause) {
    throw new Fault('ZONE_UNREADABLE', `cannot read ${path}`, { cause });
  }
}

async function parseZone(path: string, text: string, origin: string, log: Logger): Promise<ZoneData> {
  const include = (name: string, from: string): { name: string; text: string } | undefined => {
    const full = resolve(dirname(from), name);
    try {
      return { name: full, text: readFileSync(full, 'utf8') };
    } catch {
      return undefined;
    }
  };
  const source = { name: path, text, include };
  const { records, faults, outside } = await readMasterFileInTurns(source, origin, setImmediate);
  if (faults.length > 0) {
    const lines = faults.slice(0, FAULTS_SHOWN).map(({ file, line, reason }) => `${file}:${line}: ${reason}`);
    const more = faults.length > FAULTS_SHOWN ? [`and ${faults.length - FAULTS_SHOWN} more`] : [];
    throw new Fault('ZONE_INVALID', [...lines, ...more].join('\n'));
  }
  if (outside > 0) log.warn('records outside of the zone left out', { path, zone: origin, records: outside });
  return await ZoneData.inTurns(origin, records, setImmediate);
}
