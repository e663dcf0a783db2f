import { CHANNEL_PROTOCOLS } from '../../streams/channels.ts';
import { endSession, serveSession } from '../../streams/session-server.ts';
import { openWebSocket } from '../../streams/web-socket.ts';
import { badRequest, StatusError } from '../status.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import { parseBoolean } from '../verbs/list-options.ts';
import { containerOf, hostOf, streamError, type StreamsSource } from './target.ts';

/** pods/NAME/exec and …/attach over a WebSocket; what is wrong with the request itself is a plain reply. */
export function execHandler(source: StreamsSource, mode: 'exec' | 'attach'): SubresourceHandler {
  return async (call) => {
    const { query, upgrade, headers } = call.request;
    const target = await containerOf(call);
    const { ref } = target;
    const tty = parseBoolean(query, 'tty') ?? false;
    const stdin = parseBoolean(query, 'stdin') ?? false;
    const command = query.getAll('command');
    if (mode === 'exec' && command.length === 0)
      throw badRequest('you must specify at least one command for the container');
    const streams = source(hostOf(target));
    if (!upgrade || headers['upgrade']?.toLowerCase() !== 'websocket')
      throw badRequest('Upgrade request required: WebSocket');
    const start =
      mode === 'exec' ? streams.exec(ref, { command, stdin, tty }) : streams.attach(ref, { stdin, tty });
    const started = await start.catch((error: unknown) => streamError(error));
    const socket = await openWebSocket(upgrade, CHANNEL_PROTOCOLS);
    if (!socket) {
      if (!(started instanceof StatusError)) started.kill();
      throw badRequest(
        `unable to upgrade: none of the offered protocols is supported: ${CHANNEL_PROTOCOLS.join(', ')}`,
      );
    }
    // Refused before the upgrade, clients would try the older protocol and tell what that is answered.
    if (started instanceof StatusError) endSession(socket, started.toStatus());
    else void serveSession(socket, started);
    return undefined;
  };
}
