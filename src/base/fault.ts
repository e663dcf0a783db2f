/**
 * A typed failure: `code` is stable and may be tested for, `message` is for people, `cause` keeps the origin.
 * Decoders of untrusted bytes do not throw Faults; they return a union. Assertion failures are our own bugs
 * and stay plain Errors.
 */
export class Fault extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Fault';
    this.code = code;
  }
}

/** True when error, or anything in its chain of causes, is a Fault with this code. */
export function hasCode(error: unknown, code: string): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ((at as { code?: unknown }).code === code) return true;
  }
  return false;
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
