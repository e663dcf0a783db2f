import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecretStore } from '../../../ingress/acme/renewals.ts';
import type { ApiClient } from '../../api/client/client.ts';
import { orUndefined } from '../../api/client/or-undefined.ts';
import { resources } from '../../api/client/resources.ts';
import type { Secret } from '../../api/kinds/config.ts';

/** Secrets of an API server. */
export function apiSecretStore(client: ApiClient): SecretStore {
  const get = (namespace: string, name: string): Promise<Secret | undefined> =>
    orUndefined(client.get<Secret>(resources.secrets, name, namespace));
  return {
    get,
    async put(secret) {
      const { namespace = 'default', name } = secret.metadata;
      const present = await get(namespace, name);
      if (!present) {
        await client.create<Secret>(resources.secrets, secret);
        return;
      }
      const { metadata, ...content } = secret;
      const { resourceVersion } = present.metadata;
      const labels = metadata.labels && { labels: metadata.labels };
      await client.update<Secret>(resources.secrets, {
        ...present,
        ...content,
        metadata: {
          ...present.metadata,
          ...labels,
          ...(resourceVersion !== undefined && { resourceVersion }),
        },
      });
    },
    async remove(namespace, name) {
      await orUndefined(client.delete(resources.secrets, name, namespace));
    },
  };
}

/** Secrets as files of a folder, for an ingress without an API server; each change is told. */
export function fileSecretStore(folder: string, changed: (secret: Secret) => void): SecretStore {
  const path = (namespace: string, name: string): string => join(folder, `${namespace}.${name}.json`);
  return {
    async get(namespace, name) {
      try {
        return JSON.parse(await readFile(path(namespace, name), 'utf8')) as Secret;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async put(secret) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = path(secret.metadata.namespace ?? 'default', secret.metadata.name);
      await writeFile(`${file}.new`, JSON.stringify(secret), { mode: 0o600 });
      await rename(`${file}.new`, file);
      changed(secret);
    },
    remove: (namespace, name) => rm(path(namespace, name), { force: true }),
  };
}
