import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { Container } from '../../api/kinds/pod.ts';
import { containerEnvironment } from '../environment/environment.ts';
import { expand, ownLookup } from '../environment/expand.ts';
import type { PodFacts } from '../environment/field-ref.ts';
import { imageCommand, type ImageMap } from './image-map.ts';
import type { PodSources } from '../sources/pod-sources.ts';
import { OOM_SCORE_ADJUST, qosClass } from '../pods/qos.ts';
import { inputMode } from '../runtime/container-input.ts';
import type { PodFolders } from '../runtime/container-record.ts';
import { TERMINAL_ENVIRONMENT } from '../runtime/on-terminal.ts';
import type { LaunchPlan } from '../runtime/process-runtime.ts';
import { hostPathOf, type MountPath, mountPaths, rewritePaths, volumeVariables } from '../volumes/mounts.ts';

/** What the host and the cluster give to every container. */
export interface HostView {
  /** PATH and the like: the host's, handed down from the command line. */
  readonly hostEnv: Readonly<Record<string, string>>;
  readonly imageMap: ImageMap;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  /** The kubelet's own user; only root (0) can run containers as another. */
  readonly uid: number;
}

interface PlannerDeps {
  readonly sources: PodSources;
  readonly folders: PodFolders;
  readonly host: HostView;
}

export interface PlannedPod {
  readonly facts: PodFacts;
  readonly volumeFolders: ReadonlyMap<string, string>;
}

const TERMINATION_LOG = 'termination-log';
const DEFAULT_TERMINATION_PATH = '/dev/termination-log';

/** Turns a container of a manifest into the process to start. */
export class LaunchPlanner {
  readonly #deps: PlannerDeps;

  constructor(deps: PlannerDeps) {
    this.#deps = deps;
  }

  /** Where the paths of the container lie: its volumes and the file for its last words. */
  mounts(container: Container, attempt: number, planned: PlannedPod): readonly MountPath[] {
    const lookup = (name: string): string | undefined =>
      container.env?.find((one) => one.name === name)?.value;
    const volumes = mountPaths(container, planned.volumeFolders, (text) => expand(text, lookup));
    const last = {
      name: TERMINATION_LOG,
      mountPath: container.terminationMessagePath ?? DEFAULT_TERMINATION_PATH,
      hostPath: this.terminationLog(container, attempt, planned),
    };
    return [...volumes, last];
  }

  terminationLog(container: Container, attempt: number, { facts }: PlannedPod): string {
    const key = { podUid: facts.pod.metadata.uid ?? '', container: container.name, attempt };
    return join(this.#deps.folders.attempt(key), TERMINATION_LOG);
  }

  /** Rejects with Fault CONTAINER_CONFIG or IMAGE_NOT_MAPPED: then nothing was started. */
  async plan(container: Container, attempt: number, planned: PlannedPod): Promise<LaunchPlan> {
    const { facts } = planned;
    const { pod } = facts;
    const mounts = this.mounts(container, attempt, planned);
    const work = join(this.#deps.folders.pod(pod.metadata.uid ?? ''), 'work');
    mkdirSync(work, { recursive: true });
    const env = await containerEnvironment({
      container,
      facts,
      base: {
        ...(container.tty && TERMINAL_ENVIRONMENT),
        ...this.#baseEnvironment(facts, work),
        ...volumeVariables(mounts),
      },
      sources: this.#deps.sources,
    });
    const image = imageCommand(this.#deps.host.imageMap, container.image ?? '');
    const words = commandOf(container, image?.command).map((word) => expand(word, ownLookup(env)));
    return {
      key: { podUid: pod.metadata.uid ?? '', container: container.name, attempt },
      argv: words.map((word) => rewritePaths(word, mounts)),
      env: rewriteLiterals(env, container, mounts),
      cwd: workingFolder(container, mounts, image?.folder ?? work),
      input: inputMode(container),
      oomScoreAdjust: OOM_SCORE_ADJUST[qosClass(pod)],
      ...this.#user(container, facts),
    };
  }

  #baseEnvironment(facts: PodFacts, work: string): Record<string, string> {
    const { host } = this.#deps;
    const { metadata, spec } = facts.pod;
    const namespace = metadata.namespace ?? '';
    const domain = host.clusterDomain;
    return {
      ...host.hostEnv,
      HOME: work,
      HOSTNAME: (spec.hostname ?? metadata.name).slice(0, 63),
      POD_IP: facts.podIPs[0] ?? '',
      POD_NAME: metadata.name,
      POD_NAMESPACE: namespace,
      WEFT_CLUSTER_DNS: host.clusterDns,
      WEFT_CLUSTER_DOMAIN: domain,
      WEFT_DNS_SEARCH: `${namespace}.svc.${domain} svc.${domain} ${domain}`,
    };
  }

  #user(container: Container, { pod }: PodFacts): { readonly uid?: number; readonly gid?: number } {
    const pick = { ...pod.spec.securityContext, ...container.securityContext };
    const uid = pick.runAsUser;
    if (pick.runAsNonRoot && (uid ?? this.#deps.host.uid) === 0) {
      throw new Fault(
        'CONTAINER_CONFIG',
        `container has runAsNonRoot and would run as root: set runAsUser, or start weft as another user`,
      );
    }
    if (this.#deps.host.uid !== 0 || uid === undefined || uid === 0) return {};
    return { uid, gid: pick.runAsGroup ?? uid };
  }
}

/** command and args of the manifest, else what the image map says; args alone are added to the mapped command. */
function commandOf(container: Container, mapped: readonly string[] | undefined): readonly string[] {
  const { command = [], args = [] } = container;
  if (command.length > 0) return [...command, ...args];
  if (mapped && mapped.length > 0) return [...mapped, ...args];
  throw new Fault(
    'IMAGE_NOT_MAPPED',
    `container "${container.name}" has an image (${container.image ?? 'none'}) and no command. This node runs processes, not images: ` +
      `give the container a command, or start weft with --image-map '${container.image ?? 'IMAGE'}=COMMAND'`,
  );
}

/** Values written in the manifest may name mountPaths; values from Secrets and ConfigMaps are left as they are. */
function rewriteLiterals(
  env: Record<string, string>,
  container: Container,
  mounts: readonly MountPath[],
): Record<string, string> {
  const out = { ...env };
  for (const { name, value } of container.env ?? []) {
    const text = out[name];
    if (value !== undefined && text !== undefined) out[name] = rewritePaths(text, mounts);
  }
  return out;
}

/** Container runtimes make a missing working folder; here the pod's own one stands for it. */
function workingFolder(container: Container, mounts: readonly MountPath[], fallback: string): string {
  if (!container.workingDir) return fallback;
  const folder = hostPathOf(container.workingDir, mounts);
  try {
    return statSync(folder).isDirectory() ? folder : fallback;
  } catch {
    return fallback;
  }
}
