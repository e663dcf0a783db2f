/** Why an address could not be listened on, in words for whoever chose it. */
export function listenReason(cause: {
  readonly code?: string | undefined;
  readonly message: string;
}): string {
  return cause.code === 'EADDRINUSE' ? 'the port is in use' : cause.message;
}
