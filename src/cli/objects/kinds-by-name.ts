import type { DiscoveredResource } from '../../api/client/discovery.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';

/** What KIND, KIND,KIND and `all` stand for on a server that knows these, in the order they were named. */
export function resourcesNamed(known: readonly DiscoveredResource[], wanted: string): DiscoveredResource[] {
  const found = wanted.split(',').flatMap((each) => {
    const members = known.filter(({ categories }) => categories.includes(each));
    return members.length > 0
      ? members
      : [known.find((resource) => answersTo(resource, each)) ?? missing(each)];
  });
  return [...new Set(found)];
}

/** One kind by plural, singular, short name or Kind; `name.group` picks between groups. */
export function resourceNamed(known: readonly DiscoveredResource[], wanted: string): DiscoveredResource {
  const [found, ...more] = resourcesNamed(known, wanted);
  if (!found || more.length > 0) throw new ExitError(EXIT_USAGE, `${wanted}: name one kind`);
  return found;
}

/** KIND NAME and KIND/NAME say the same, as with kubectl. */
export function kindAndName(kind: string, name: string | undefined): [string, string | undefined] {
  const [before, after, ...rest] = kind.split('/');
  if (after === undefined) return [kind, name];
  if (!before || !after || rest.length > 0 || name !== undefined)
    throw new ExitError(EXIT_USAGE, `${kind}: use KIND NAME or KIND/NAME`);
  return [before, after];
}

function answersTo(resource: DiscoveredResource, wanted: string): boolean {
  const [name = '', ...group] = wanted.toLowerCase().split('.');
  const { plural, kind, shortNames } = resource;
  const named = plural === name || kind.toLowerCase() === name || shortNames.includes(name);
  return named && (group.length === 0 || resource.group === group.join('.'));
}

function missing(kind: string): never {
  throw new ExitError(EXIT_FAILURE, `the server has no kind called "${kind}"`);
}
