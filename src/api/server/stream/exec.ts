import { CHANNEL_PROTOCOLS } from '../../streams/channels.ts';
import { serveSession } from '../../streams/session-server.ts';
import { openWebSocket } from '../../streams/web-socket.ts';
import { badRequest } from '../status.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import { parseBoolean } from '../verbs/list-options.ts';
import { containerOf, streamError, type StreamsSource } from './target.ts';

/** pods/NAME/exec and …/attach over a WebSocket; errors before the upgrade are plain replies. */
export function execHandler(source: StreamsSource, mode: 'exec' | 'attach'): SubresourceHandler {
  return async (call) => {
    const { query, upgrade, headers } = call.request;
    const { ref, nodeName } = await containerOf(call);
    const tty = parseBoolean(query, 'tty') ?? false;
    const stdin = parseBoolean(query, 'stdin') ?? false;
    const command = query.getAll('command');
    if (mode === 'exec' && command.length === 0)
      throw badRequest('you must specify at least one command for the container');
    if (!upgrade || headers['upgrade']?.toLowerCase() !== 'websocket')
      throw badRequest('Upgrade request required: WebSocket');
    const streams = source(nodeName);
    const start =
      mode === 'exec' ? streams.exec(ref, { command, stdin, tty }) : streams.attach(ref, { stdin, tty });
    const session = await start.catch((error: unknown) => Promise.reject(streamError(error)));
    const socket = await openWebSocket(upgrade, CHANNEL_PROTOCOLS);
    if (!socket) {
      session.kill();
      throw badRequest(
        `unable to upgrade: none of the offered protocols is supported: ${CHANNEL_PROTOCOLS.join(', ')}`,
      );
    }
    void serveSession(socket, session);
    return undefined;
  };
}
