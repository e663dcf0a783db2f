/**
 * `$(NAME)` in commands, arguments and values (Kubernetes, "Define dependent environment variables"): a known
 * name is replaced, an unknown one stays as it is, `$$` becomes `$`, so that `$$(NAME)` comes out as `$(NAME)`.
 */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : (lookup(name) ?? whole),
  );
}

/** A lookup that finds own names only: `$(toString)` is an unknown name. */
export function ownLookup(variables: Readonly<Record<string, string>>): (name: string) => string | undefined {
  return (name) => (Object.hasOwn(variables, name) ? variables[name] : undefined);
}
