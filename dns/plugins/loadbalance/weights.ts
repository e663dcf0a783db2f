import { readFile } from 'node:fs/promises';
import { Fault, messageOf } from '../../../src/base/fault.ts';
import { repeat } from '../../../src/base/repeat.ts';
import { canonicalAddress } from '../../../src/net/ip.ts';
import type { PluginDeps } from '../../plugin.ts';
import type { ResourceRecord } from '../../wire/message.ts';
import { foldName, parseName } from '../../wire/name.ts';

type Weights = ReadonlyMap<string, ReadonlyMap<string, number>>;

const MAX_WEIGHT = 255;

/** `name` lines, each followed by `address weight` lines; read again every reloadMs, a bad file changes nothing. */
export class WeightFile implements Disposable {
  readonly #deps: PluginDeps;
  readonly #path: string;
  #weights: Weights = new Map();
  #following: Disposable | undefined;

  private constructor(deps: PluginDeps, path: string) {
    this.#deps = deps;
    this.#path = path;
  }

  /** Rejects with Fault WEIGHTS_INVALID when the first reading fails. */
  static async open(deps: PluginDeps, options: { path: string; reloadMs: number }): Promise<WeightFile> {
    const file = new WeightFile(deps, options.path);
    file.#weights = await file.#read();
    file.#following = repeat(deps.clock, options.reloadMs, () => file.#reload());
    return file;
  }

  /** One record on top, chosen by weight; records without a weight count 1. */
  order(records: readonly ResourceRecord[], random: () => number): readonly ResourceRecord[] {
    const weights = records[0] && this.#weights.get(foldName(records[0].name));
    if (!weights || records.length < 2) return records;
    const weightOf = (record: ResourceRecord): number =>
      record.type === 'A' || record.type === 'AAAA' ? (weights.get(record.data.address) ?? 1) : 1;
    let left = random() * records.reduce((sum, record) => sum + weightOf(record), 0);
    const chosen = records.findIndex((record) => (left -= weightOf(record)) < 0);
    const top = records[Math.max(0, chosen)]!;
    return [top, ...records.filter((record) => record !== top)];
  }

  [Symbol.dispose](): void {
    this.#following?.[Symbol.dispose]();
  }

  async #reload(): Promise<void> {
    try {
      this.#weights = await this.#read();
    } catch (error) {
      this.#deps.log.error('weights not reloaded', { reason: messageOf(error) });
    }
  }

  async #read(): Promise<Weights> {
    try {
      return parseWeights(await readFile(this.#path, 'utf8'));
    } catch (cause) {
      throw new Fault('WEIGHTS_INVALID', `${this.#path}: ${messageOf(cause)}`, { cause });
    }
  }
}

/** Throws with the line number of what is wrong. */
export function parseWeights(text: string): Weights {
  const weights = new Map<string, Map<string, number>>();
  let current: Map<string, number> | undefined;
  text.split('\n').forEach((raw, i) => {
    const words = raw.replace(/#.*/, '').trim().split(/\s+/);
    if (words[0] === '') return;
    const name = words.length === 1 ? parseName(words[0]!) : undefined;
    if (name !== undefined) {
      current = new Map();
      weights.set(foldName(name), current);
      return;
    }
    const address = canonicalAddress(words[0]!);
    const weight = Number(words[1]);
    if (!current || !address || words.length !== 2 || !(weight >= 1 && weight <= MAX_WEIGHT)) {
      throw new Error(`line ${i + 1}: want a name, or an address and a weight of 1 to ${MAX_WEIGHT}`);
    }
    current.set(address, Math.floor(weight));
  });
  return weights;
}
