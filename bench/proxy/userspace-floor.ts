/**
 * The least that a relay on node:net has to do, for the benchmark: no balance, no limits, no deadlines, no numbers.
 * Arguments: address port, and those of the endpoint.
 */
import { connect, createServer, type Socket } from 'node:net';

const [address = '127.0.0.1', port = '0', toAddress = '127.0.0.1', toPort = '0'] = process.argv.slice(2);

function join(from: Socket, to: Socket): void {
  from.on('data', (chunk) => to.write(chunk));
  from.on('end', () => to.end());
  from.on('error', () => to.destroy());
}

createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = connect({ host: toAddress, port: Number(toPort), allowHalfOpen: true, noDelay: true });
  join(client, upstream);
  join(upstream, client);
}).listen(Number(port), address, () => process.stdout.write('ready\n'));
