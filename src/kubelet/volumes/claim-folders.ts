import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiClient } from '../../api/client/client.ts';
import { orUndefined } from '../../api/client/or-undefined.ts';
import { resources } from '../../api/client/resources.ts';
import type { KubeObject } from '../../api/kinds/meta.ts';
import { HOST_PATH_PROVISIONER, type StorageClass } from '../../api/kinds/storage.ts';
import { safeName } from '../runtime/container-record.ts';

interface Claim extends KubeObject {
  spec?: { volumeName?: string; storageClassName?: string };
  status?: { phase?: string };
}

interface PersistentVolume extends KubeObject {
  spec?: { hostPath?: { path: string }; local?: { path: string } };
}

/**
 * Folders of persistent volume claims. A claim bound to a volume with a local or hostPath source gets that
 * path; a claim nobody bound gets a folder of this node, which stays when the pod goes.
 */
export class ClaimFolders {
  readonly #client: ApiClient;
  readonly #dataDir: string;

  constructor(deps: { readonly client: ApiClient }, options: { readonly dataDir: string }) {
    this.#client = deps.client;
    this.#dataDir = options.dataDir;
  }

  /** Undefined when the claim does not exist, or is bound to a volume this node cannot reach. */
  async folder(namespace: string, name: string): Promise<string | undefined> {
    const claim = await orUndefined(
      this.#client.get<Claim>(resources.persistentVolumeClaims, name, namespace),
    );
    if (!claim || claim.metadata.deletionTimestamp) return undefined;
    const volumeName = claim.spec?.volumeName;
    if (!volumeName) {
      if (await this.#isProvisioned(claim.spec?.storageClassName)) return undefined; // it will be bound
      return this.#own(namespace, name, claim.metadata.uid ?? '');
    }
    const volume = await orUndefined(
      this.#client.get<PersistentVolume>(resources.persistentVolumes, volumeName),
    );
    const path = volume?.spec?.local?.path ?? volume?.spec?.hostPath?.path;
    if (path !== undefined) mkdirSync(path, { recursive: true });
    return path;
  }

  async #isProvisioned(storageClassName: string | undefined): Promise<boolean> {
    if (!storageClassName) return false;
    const found = await orUndefined(
      this.#client.get<StorageClass>(resources.storageClasses, storageClassName),
    );
    return found?.provisioner === HOST_PATH_PROVISIONER;
  }

  #own(namespace: string, name: string, uid: string): string {
    const folder = join(this.#dataDir, 'claims', safeName(`${namespace}_${name}_${uid}`));
    mkdirSync(folder, { recursive: true, mode: 0o777 });
    return folder;
  }
}
