import {
  DEFAULT_INGRESS_CLASS_ANNOTATION,
  type Ingress,
  type IngressClass,
  LEGACY_INGRESS_CLASS_ANNOTATION,
} from '../../src/api/kinds/ingress.ts';

/** Which Ingresses are ours (facts: IngressClass in the Kubernetes documentation). */
export interface ClassOptions {
  /** The class name the legacy annotation is compared with, beside the names of our IngressClass objects. */
  readonly ingressClass: string;
  readonly controllerName: string;
  /** Ingresses without any class are ours too. */
  readonly watchWithoutClass: boolean;
  /**
   * Objects do not come from an API server: nobody filled in the default class at creation, so we apply it
   * (newest class first, then name).
   */
  readonly applyDefaultClass: boolean;
}

export type ClassVerdict = { readonly ours: true } | { readonly ours: false; readonly reason: string };

const ours: ClassVerdict = { ours: true };

export function classVerdict(
  ingress: Ingress,
  classes: ReadonlyMap<string, IngressClass>,
  options: ClassOptions,
): ClassVerdict {
  const field = ingress.spec?.ingressClassName;
  if (field !== undefined && field !== '') return byClassName(field, classes, options);
  const annotation = ingress.metadata.annotations?.[LEGACY_INGRESS_CLASS_ANNOTATION];
  if (annotation !== undefined && annotation !== '') return byAnnotation(annotation, classes, options);
  if (options.applyDefaultClass) {
    const chosen = defaultClass(classes);
    if (chosen) return byClassName(chosen.metadata.name, classes, options);
  }
  return options.watchWithoutClass ? ours : { ours: false, reason: 'has no class' };
}

function byClassName(
  name: string,
  classes: ReadonlyMap<string, IngressClass>,
  options: ClassOptions,
): ClassVerdict {
  const found = classes.get(name);
  if (!found) return { ours: false, reason: `IngressClass ${name} does not exist` };
  const controller = found.spec?.controller;
  return controller === options.controllerName
    ? ours
    : { ours: false, reason: `IngressClass ${name} belongs to ${controller ?? 'no controller'}` };
}

/** The annotation names a class object of ours, or is the class name the controller was told. */
function byAnnotation(
  name: string,
  classes: ReadonlyMap<string, IngressClass>,
  options: ClassOptions,
): ClassVerdict {
  const found = classes.get(name);
  if (found) return byClassName(name, classes, options);
  return name === options.ingressClass ? ours : { ours: false, reason: `annotation names class ${name}` };
}

/** The default class: of several the newest, then the first by name (admission plugin DefaultIngressClass). */
export function defaultClass(classes: ReadonlyMap<string, IngressClass>): IngressClass | undefined {
  let best: IngressClass | undefined;
  for (const candidate of classes.values()) {
    if (candidate.metadata.annotations?.[DEFAULT_INGRESS_CLASS_ANNOTATION] !== 'true') continue;
    if (!best || newerFirst(candidate, best) < 0) best = candidate;
  }
  return best;
}

function newerFirst(a: IngressClass, b: IngressClass): number {
  const ageA = a.metadata.creationTimestamp ?? '';
  const ageB = b.metadata.creationTimestamp ?? '';
  if (ageA !== ageB) return ageA > ageB ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
