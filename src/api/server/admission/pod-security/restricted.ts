import {
  arrayAt,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../../../kinds/json-value.ts';
import { addedCapabilities, profileType } from './baseline.ts';
import {
  type Check,
  containersText,
  found,
  namesWhere,
  plural,
  quoted,
  security,
  settersText,
  valuesOf,
} from './subject.ts';

/** From this minor version on, rules of Linux leave pods of Windows alone. */
const WINDOWS_EXEMPT_SINCE = 25;
/** From this minor version on, root of a user namespace counts as nobody. */
export const USER_NAMESPACES_SINCE = 35;

const onLinux =
  (check: Check): Check =>
  (subject) => {
    const windows = stringAt(objectAt(subject.spec, 'os'), 'name') === 'windows';
    return windows && subject.minor >= WINDOWS_EXEMPT_SINCE ? undefined : check(subject);
  };

/** Pods with users of their own may do it from USER_NAMESPACES_SINCE on. */
export const onHostUsers =
  (check: Check): Check =>
  (subject) =>
    subject.spec['hostUsers'] === false && subject.minor >= USER_NAMESPACES_SINCE
      ? undefined
      : check(subject);

export const escalation = onLinux(({ spec }) =>
  found(
    'allowPrivilegeEscalation != false',
    namesWhere(spec, (one) => security(one)['allowPrivilegeEscalation'] !== false),
    'must set securityContext.allowPrivilegeEscalation=false',
  ),
);

export const restrictedCapabilities = onLinux(({ spec }) => {
  const keeps = namesWhere(
    spec,
    (one) => !arrayAt(objectAt(security(one), 'capabilities'), 'drop').includes('ALL'),
  );
  const bad = (one: JsonObject): string[] =>
    addedCapabilities(one).filter((cap) => cap !== 'NET_BIND_SERVICE');
  const adds = namesWhere(spec, (one) => bad(one).length > 0);
  const details = [
    ...(keeps.length > 0
      ? [`${containersText(keeps)} must set securityContext.capabilities.drop=["ALL"]`]
      : []),
    ...(adds.length > 0
      ? [
          `${containersText(adds)} must not include ${quoted(valuesOf(spec, bad))} in securityContext.capabilities.add`,
        ]
      : []),
  ];
  return details.length > 0 ? { rule: 'unrestricted capabilities', detail: details.join('; ') } : undefined;
});

const VOLUMES: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
  'image',
]);

export const volumes: Check = ({ spec }) => {
  const bad = objectsAt(spec, 'volumes').flatMap((one) => {
    const source = Object.keys(one).find((key) => key !== 'name' && isObject(one[key]));
    return source && !VOLUMES.has(source) ? [[stringAt(one, 'name'), source] as const] : [];
  });
  if (bad.length === 0) return undefined;
  const types = new Set(bad.map(([, type]) => type));
  const names = `${plural(bad.length, 'volume', 'volumes')} ${quoted(bad.map(([name]) => name))}`;
  const kind = plural(types.size, 'restricted volume type', 'restricted volume types');
  return {
    rule: 'restricted volume types',
    detail: `${names} ${plural(bad.length, 'uses', 'use')} ${kind} ${quoted(types)}`,
  };
};

export const runAsNonRoot = onHostUsers(({ spec }) => {
  const rule = 'runAsNonRoot != true';
  const root = settersText(spec, (one) => security(one)['runAsNonRoot'] === false);
  if (root !== '') return { rule, detail: `${root} must not set securityContext.runAsNonRoot=false` };
  if (security(spec)['runAsNonRoot'] === true) return undefined;
  const silent = namesWhere(spec, (one) => security(one)['runAsNonRoot'] !== true);
  if (silent.length === 0) return undefined;
  return { rule, detail: `pod or ${containersText(silent)} must set securityContext.runAsNonRoot=true` };
});

export const runAsUser = onHostUsers(({ spec }) => {
  const setters = settersText(spec, (one) => security(one)['runAsUser'] === 0);
  return setters === '' ? undefined : { rule: 'runAsUser=0', detail: `${setters} must not set runAsUser=0` };
});

const PROFILES: readonly string[] = ['RuntimeDefault', 'Localhost'];

export const restrictedSeccomp = onLinux(({ spec }) => {
  const rule = 'seccompProfile';
  const bad = (one: JsonObject): string[] =>
    [profileType(one)].filter((type) => type !== '' && !PROFILES.includes(type));
  const setters = settersText(spec, (one) => bad(one).length > 0);
  if (setters !== '') {
    const types = quoted(valuesOf(spec, bad));
    return { rule, detail: `${setters} must not set securityContext.seccompProfile.type to ${types}` };
  }
  if (profileType(spec) !== '') return undefined;
  const silent = namesWhere(spec, (one) => profileType(one) === '');
  if (silent.length === 0) return undefined;
  const must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"';
  return { rule, detail: `pod or ${containersText(silent)} ${must}` };
});
