/**
 * A store in a process of its own, called over Node's channel to its parent, so that tests can kill or pause it, or
 * put it into another network. Argument: URL. Requests {id, call, args}; replies {id, result} or {id, code}; {batch} for the watch.
 */
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openStore } from '../../src/store/open.ts';

export interface ServerRequest {
  readonly id: number;
  readonly call: 'get' | 'put' | 'delete' | 'range' | 'watch' | 'currentRevision';
  readonly args: readonly unknown[];
}

const store = await openStore({ clock: systemClock, log: silentLogger }, process.argv[2]!);
const send = (message: object): void => void process.send!(message);

async function watch(prefix: string, fromRevision: number): Promise<void> {
  for await (const batch of store.watch(prefix, fromRevision, new AbortController().signal)) send({ batch });
}

process.on('message', ({ id, call, args }: ServerRequest) => {
  if (call === 'watch') return void watch(args[0] as string, args[1] as number);
  const method = store[call].bind(store) as (...args: readonly unknown[]) => Promise<unknown>;
  method(...args).then(
    (result) => send({ id, result }),
    (error: unknown) => send({ id, code: (error as { code?: string }).code ?? String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
send({ ready: true });
