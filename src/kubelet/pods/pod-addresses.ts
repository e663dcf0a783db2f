import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { type Cidr, cidrAddressAt, parseCidr } from '../../net/cidr.ts';
import { type PodFolders, readJson, writeJson } from '../runtime/container-record.ts';

/** What stands in a pod's folder about the pod itself. */
export interface PodRecord {
  readonly namespace: string;
  readonly name: string;
  readonly podIP: string | undefined;
}

const FILE = 'pod.json';

export function readPodRecord(folders: PodFolders, uid: string): PodRecord | undefined {
  return readJson(join(folders.pod(uid), FILE)) as PodRecord | undefined;
}

export function writePodRecord(folders: PodFolders, uid: string, record: PodRecord): void {
  writeJson(join(folders.pod(uid), FILE), record);
}

/** Uids of the pods that have a folder. */
export function knownPods(folders: PodFolders): string[] {
  try {
    return readdirSync(folders.pods);
  } catch {
    return []; // a first start
  }
}

/**
 * Pod addresses of this node. They are kept with the pods' folders, so a pod has the same one under the next
 * kubelet. Each kubelet starts at a place of its own in the range and goes round, so that an address is used
 * again late and two kubelets on one host, which both see all of 127.0.0.0/8, seldom meet.
 */
export class PodAddresses {
  readonly #cidr: Cidr;
  readonly #size: number;
  readonly #used = new Map<string, string>();
  #next: number;

  /** Throws Fault POD_CIDR when the range is none or has no room. */
  constructor(options: {
    readonly podCidr: string;
    readonly kubeletId: string;
    readonly folders: PodFolders;
  }) {
    const cidr = parseCidr(options.podCidr);
    const hostBits = cidr ? cidr.network.length * 8 - cidr.prefixBits : 0;
    if (!cidr || hostBits < 3) throw new Fault('POD_CIDR', `no room for pods in ${options.podCidr}`);
    this.#cidr = cidr;
    // The first and the last address of a range are nobody's.
    this.#size = 2 ** Math.min(hostBits, 24) - 2;
    this.#next = createHash('sha256').update(options.kubeletId).digest().readUInt32BE() % this.#size;
    for (const uid of knownPods(options.folders)) {
      const address = readPodRecord(options.folders, uid)?.podIP;
      if (address) this.#used.set(address, uid);
    }
  }

  /** The address this pod has or gets. Throws Fault POD_ADDRESSES_EXHAUSTED. */
  of(uid: string): string {
    for (const [address, owner] of this.#used) if (owner === uid) return address;
    for (let tried = 0; tried < this.#size; tried++) {
      const address = cidrAddressAt(this.#cidr, BigInt(this.#next + 1));
      this.#next = (this.#next + 1) % this.#size;
      if (address === undefined || this.#used.has(address)) continue;
      this.#used.set(address, uid);
      return address;
    }
    throw new Fault('POD_ADDRESSES_EXHAUSTED', 'all pod addresses of this node are in use');
  }

  release(uid: string): void {
    for (const [address, owner] of this.#used) if (owner === uid) this.#used.delete(address);
  }
}
