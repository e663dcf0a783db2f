import type { PodFailureRule } from '../../api/kinds/batch.ts';
import type { Pod } from '../../api/kinds/pod.ts';

/** What a Job's podFailurePolicy says about a pod that failed. */
export interface PodVerdict {
  readonly action: PodFailureRule['action'];
  /** For FailJob: the message of the Job's condition. */
  readonly message: string;
}

/** The first rule that matches decides (KEP-3329); without one the failure counts. */
export function judgeFailure(rules: readonly PodFailureRule[] | undefined, pod: Pod): PodVerdict {
  for (const [index, rule] of (rules ?? []).entries()) {
    const reason = matchExitCode(rule, pod) ?? matchCondition(rule, pod);
    if (reason === undefined) continue;
    return { action: rule.action, message: `${reason} matching ${rule.action} rule at index ${index}` };
  }
  return { action: 'Count', message: '' };
}

function nameOf({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function matchExitCode({ onExitCodes }: PodFailureRule, pod: Pod): string | undefined {
  if (!onExitCodes) return undefined;
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  for (const status of [...containerStatuses, ...initContainerStatuses]) {
    if (onExitCodes.containerName && onExitCodes.containerName !== status.name) continue;
    const code = status.state?.terminated?.exitCode;
    // Success is never a failure to judge, whatever NotIn says.
    if (code === undefined || code === 0) continue;
    if (onExitCodes.values.includes(code) === (onExitCodes.operator === 'In')) {
      return `Container ${status.name} for pod ${nameOf(pod)} failed with exit code ${code}`;
    }
  }
  return undefined;
}

function matchCondition({ onPodConditions }: PodFailureRule, pod: Pod): string | undefined {
  const wanted = onPodConditions?.find(({ type, status = 'True' }) =>
    pod.status?.conditions?.some((has) => has.type === type && has.status === status),
  );
  return wanted && `Pod ${nameOf(pod)} has condition ${wanted.type}`;
}
