import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { Clock } from '../../base/clock.ts';
import type { ConfigMap, Secret } from '../../api/kinds/config.ts';
import type { Pod, PodSpec } from '../../api/kinds/pod.ts';
import type { PodFacts } from '../environment/field-ref.ts';
import type { IssuedToken, PodSources, SourceReference } from '../sources/pod-sources.ts';
import { safeName } from '../runtime/container-record.ts';
import { writeAtomically } from './atomic-folder.ts';
import { hostPathFolder } from './host-path.ts';
import { type Projection, projectedPayload } from './payload.ts';

type Volume = NonNullable<PodSpec['volumes']>[number];

const DEFAULT_MODE = 0o644;
const TOKEN_SECONDS = 3600;
/** A token is renewed once this share of its life is over (kubelet token manager). */
const TOKEN_RENEW_SHARE = 0.8;

/** The volumes of one pod, made under its folder and kept up to date. */
export class PodVolumes {
  readonly #deps: { readonly sources: PodSources; readonly clock: Clock };
  readonly #folder: string;
  readonly #owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly #tokens = new Map<string, IssuedToken & { readonly renewAtMs: number }>();

  constructor(
    deps: { readonly sources: PodSources; readonly clock: Clock },
    options: {
      readonly folder: string;
      /** Given to what is made, when the pod runs as another user. */
      readonly owner?: { readonly uid: number; readonly gid: number };
    },
  ) {
    this.#deps = deps;
    this.#folder = options.folder;
    this.#owner = options.owner;
  }

  /** Folder (or file, for a hostPath) by volume name. Rejects with Fault VOLUME; calling again refreshes. */
  async materialise(facts: PodFacts): Promise<ReadonlyMap<string, string>> {
    const out = new Map<string, string>();
    for (const volume of facts.pod.spec.volumes ?? []) {
      try {
        out.set(volume.name, await this.#make(volume, facts));
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Fault('VOLUME', `MountVolume.SetUp failed for volume "${volume.name}" : ${reason}`, {
          cause,
        });
      }
    }
    return out;
  }

  async #make(volume: Volume, facts: PodFacts): Promise<string> {
    const projections = projectionsOf(volume);
    if (projections) return await this.#project(volume, projections, facts);
    if (volume.hostPath) return hostPathFolder(volume.hostPath as { path: string; type?: string });
    if (volume.persistentVolumeClaim) {
      const { claimName } = volume.persistentVolumeClaim as { claimName: string };
      return await this.#claim(claimName, facts);
    }
    if (volume.ephemeral) return await this.#claim(`${facts.pod.metadata.name}-${volume.name}`, facts);
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'emptyDir';
    if (kind !== 'emptyDir')
      throw new Fault('VOLUME', `volumes of type ${kind} are not supported on this node`);
    return this.#empty(volume.name);
  }

  #empty(name: string): string {
    const folder = join(this.#folder, safeName(name));
    if (existsSync(folder)) return folder;
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o777); // as the original: any user of the pod may write
    if (this.#owner) chownSync(folder, this.#owner.uid, this.#owner.gid);
    return folder;
  }

  async #claim(claimName: string, facts: PodFacts): Promise<string> {
    const folder = await this.#deps.sources.claimFolder(facts.pod.metadata.namespace ?? '', claimName);
    if (folder === undefined) {
      throw new Fault('VOLUME', `persistentvolumeclaim "${claimName}" is not bound to a volume of this node`);
    }
    return folder;
  }

  async #project(volume: Volume, projections: readonly Projection[], facts: PodFacts): Promise<string> {
    const namespace = facts.pod.metadata.namespace ?? '';
    const configMaps = new Map<string, ConfigMap | undefined>();
    const secrets = new Map<string, Secret | undefined>();
    const tokens = new Map<Projection['serviceAccountToken'], string | undefined>();
    for (const { configMap, secret, serviceAccountToken } of projections) {
      if (configMap?.name)
        configMaps.set(configMap.name, await this.#deps.sources.configMap(namespace, configMap.name));
      if (secret?.name) secrets.set(secret.name, await this.#deps.sources.secret(namespace, secret.name));
      if (serviceAccountToken) tokens.set(serviceAccountToken, await this.#token(facts, serviceAccountToken));
    }
    const payload = projectedPayload(projections, {
      facts,
      defaultMode: defaultMode(volume),
      configMap: (name) => configMaps.get(name),
      secret: (name) => secrets.get(name),
      token: (request) => tokens.get(request),
    });
    const folder = join(this.#folder, safeName(volume.name));
    writeAtomically(folder, payload, this.#owner);
    return folder;
  }

  /** The token of the pod's account, asked for again when most of its life is over. */
  async #token(
    facts: PodFacts,
    projection: NonNullable<Projection['serviceAccountToken']>,
  ): Promise<string | undefined> {
    const audience = projection.audience || undefined;
    const key = `${audience ?? ''} ${projection.expirationSeconds ?? TOKEN_SECONDS}`;
    const held = this.#tokens.get(key);
    const now = this.#deps.clock.nowMs();
    if (held && now < held.renewAtMs) return held.token;
    const { metadata, spec } = facts.pod;
    const issued = await this.#deps.sources.serviceAccountToken({
      namespace: metadata.namespace ?? '',
      serviceAccount: spec.serviceAccountName ?? 'default',
      pod: { name: metadata.name, uid: metadata.uid ?? '' },
      audience,
      expirationSeconds: projection.expirationSeconds ?? TOKEN_SECONDS,
    });
    if (issued) {
      const renewAtMs = now + (issued.expiresAtMs - now) * TOKEN_RENEW_SHARE;
      this.#tokens.set(key, { ...issued, renewAtMs });
    }
    return issued?.token;
  }
}

/** ConfigMaps and Secrets the pod's volumes show: when one changes the volumes are made again. */
export function volumeReferences(pod: Pod): readonly SourceReference[] {
  const namespace = pod.metadata.namespace ?? '';
  return (pod.spec.volumes ?? []).flatMap((volume) =>
    (projectionsOf(volume) ?? []).flatMap(({ configMap, secret }): SourceReference[] => {
      if (configMap?.name) return [{ kind: 'ConfigMap', namespace, name: configMap.name }];
      return secret?.name ? [{ kind: 'Secret', namespace, name: secret.name }] : [];
    }),
  );
}

function projectionsOf(volume: Volume): readonly Projection[] | undefined {
  if (volume.configMap) return [{ configMap: volume.configMap }];
  if (volume.secret) {
    const { secretName, ...rest } = volume.secret as { secretName?: string };
    return [{ secret: { ...rest, name: secretName ?? '' } }];
  }
  if (volume.downwardAPI) return [{ downwardAPI: volume.downwardAPI }];
  if (volume.projected) return (volume.projected as { sources?: Projection[] }).sources ?? [];
  return undefined;
}

function defaultMode(volume: Volume): number {
  const source = (volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected) as
    | { defaultMode?: number }
    | undefined;
  return source?.defaultMode ?? DEFAULT_MODE;
}
