/** Polls until the condition gives something truthy; fails with the description after deadlineMs. */
export async function waitFor<T>(
  description: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 60_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`gave up waiting for ${description}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
