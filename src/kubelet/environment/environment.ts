import { Fault } from '../../base/fault.ts';
import type { Container, EnvVar } from '../../api/kinds/pod.ts';
import type { PodSources } from '../sources/pod-sources.ts';
import { expand, ownLookup } from './expand.ts';
import { fieldValue, type PodFacts, resourceValue } from './field-ref.ts';
import { serviceVariables } from './service-links.ts';

/** What makes a container's environment. `base` stands before everything the pod says. */
export interface EnvironmentInput {
  readonly container: Container;
  readonly facts: PodFacts;
  readonly base: Readonly<Record<string, string>>;
  readonly sources: PodSources;
}

/**
 * The environment in the order of Kubernetes: services, envFrom, env; later ones win, each value may use the
 * ones before it. Rejects with Fault CONTAINER_CONFIG when something it refers to is missing.
 */
export async function containerEnvironment(input: EnvironmentInput): Promise<Record<string, string>> {
  const out: Record<string, string> = { ...input.base };
  const { pod } = input.facts;
  const services = await input.sources.services(pod.metadata.namespace ?? '');
  const links = pod.spec.enableServiceLinks ?? true;
  Object.assign(out, serviceVariables(links ? services : onlyKubernetes(services)));
  for (const from of input.container.envFrom ?? []) Object.assign(out, await bulk(from, input));
  for (const variable of input.container.env ?? []) {
    const value = await valueOf(variable, input, out);
    if (value !== undefined) out[variable.name] = value;
  }
  return out;
}

function onlyKubernetes<T extends { metadata: { name: string; namespace?: string } }>(
  services: Iterable<T>,
): T[] {
  return Array.from(services).filter(
    ({ metadata }) => metadata.name === 'kubernetes' && metadata.namespace === 'default',
  );
}

async function bulk(
  from: NonNullable<Container['envFrom']>[number],
  input: EnvironmentInput,
): Promise<Record<string, string>> {
  const data = from.configMapRef
    ? await configData(from.configMapRef, input)
    : from.secretRef
      ? await secretData(from.secretRef, input)
      : {};
  const prefix = from.prefix ?? '';
  return Object.fromEntries(Object.entries(data ?? {}).map(([key, value]) => [prefix + key, value]));
}

async function valueOf(
  variable: EnvVar,
  input: EnvironmentInput,
  before: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const from = variable.valueFrom;
  if (!from) return expand(variable.value ?? '', ownLookup(before));
  if (from.configMapKeyRef) return keyOf('configmap', from.configMapKeyRef, input);
  if (from.secretKeyRef) return keyOf('secret', from.secretKeyRef, input);
  if (from.fieldRef) {
    const value = fieldValue(from.fieldRef.fieldPath, input.facts);
    if (value === undefined) throw bad(`unsupported fieldPath: ${from.fieldRef.fieldPath}`);
    return value;
  }
  if (from.resourceFieldRef) return resourceOf(from.resourceFieldRef, input);
  return '';
}

function resourceOf(
  reference: NonNullable<NonNullable<EnvVar['valueFrom']>['resourceFieldRef']>,
  input: EnvironmentInput,
): string {
  const { spec } = input.facts.pod;
  const name = reference.containerName;
  const of = name
    ? [...spec.containers, ...(spec.initContainers ?? [])].find((one) => one.name === name)
    : input.container;
  const value = of && resourceValue(reference, of, input.facts);
  if (value === undefined) throw bad(`unsupported container resource: ${reference.resource}`);
  return value;
}

async function keyOf(
  kind: 'configmap' | 'secret',
  reference: { readonly name: string; readonly key: string; readonly optional?: boolean },
  input: EnvironmentInput,
): Promise<string | undefined> {
  const data = await (kind === 'configmap' ? configData : secretData)(reference, input);
  const value = data?.[reference.key];
  if (value !== undefined || reference.optional) return value;
  const kindName = kind === 'configmap' ? 'ConfigMap' : 'Secret';
  throw bad(
    `couldn't find key ${reference.key} in ${kindName} ${input.facts.pod.metadata.namespace}/${reference.name}`,
  );
}

/** Undefined when it is missing and may be. */
async function configData(
  reference: { readonly name: string; readonly optional?: boolean },
  input: EnvironmentInput,
): Promise<Record<string, string> | undefined> {
  const found = await input.sources.configMap(input.facts.pod.metadata.namespace ?? '', reference.name);
  if (!found && !reference.optional) throw bad(`configmap "${reference.name}" not found`);
  return found && (found.data ?? {});
}

async function secretData(
  reference: { readonly name: string; readonly optional?: boolean },
  input: EnvironmentInput,
): Promise<Record<string, string> | undefined> {
  const found = await input.sources.secret(input.facts.pod.metadata.namespace ?? '', reference.name);
  if (!found && !reference.optional) throw bad(`secret "${reference.name}" not found`);
  if (!found) return undefined;
  return Object.fromEntries(
    Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  );
}

function bad(message: string): Fault {
  return new Fault('CONTAINER_CONFIG', message);
}
