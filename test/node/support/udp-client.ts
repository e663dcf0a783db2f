/**
 * Asks a UDP echo, each time from a new port, and counts what never came back; a question is asked again as a resolver
 * would: its flow may be forgotten while it is under way to an endpoint that leaves. Beside that sends a stream of
 * datagrams from one port, as iperf does, and counts what it sent. Ends at SIGTERM.
 * Run: node udp-client.ts ADDRESS ECHO_PORT STREAM_PORT
 */
import { createSocket } from 'node:dgram';

const [address = '', echoPort = '', streamPort = ''] = process.argv.slice(2);
/** Long: what is late on a loaded machine is not lost. */
const LOST_MS = 10_000;
const TRIES_MAX = 3;
const ASK_INTERVAL_MS = 5;
const STREAM_INTERVAL_MS = 4;
const DATAGRAM = Buffer.alloc(1_000);

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function ask(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (arrived: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(arrived);
    };
    const timer = setTimeout(() => end(false), LOST_MS);
    socket.on('message', () => end(true));
    socket.on('error', () => end(false));
    socket.send('hello', Number(echoPort), address);
  });
}

async function askAll(): Promise<{ asked: number; repeated: number; lost: number }> {
  let [asked, repeated, lost] = [0, 0, 0];
  while (!stop.signal.aborted) {
    asked++;
    let [tries, answered] = [0, false];
    for (; !answered && tries < TRIES_MAX; tries++) answered = await ask();
    repeated += tries - 1;
    if (!answered) lost++;
    await pause(ASK_INTERVAL_MS);
  }
  return { asked, repeated, lost };
}

async function stream(): Promise<{ sent: number }> {
  const socket = createSocket('udp4');
  let sent = 0;
  const send = (): Promise<void> =>
    new Promise((resolve) =>
      socket.send(DATAGRAM, Number(streamPort), address, (error) => {
        if (!error) sent++;
        resolve();
      }),
    );
  while (!stop.signal.aborted) {
    await send();
    await pause(STREAM_INTERVAL_MS);
  }
  socket.close();
  return { sent };
}

const [asked, sent] = await Promise.all([askAll(), stream()]);
process.stdout.write(`${JSON.stringify({ ...asked, ...sent })}\n`);
