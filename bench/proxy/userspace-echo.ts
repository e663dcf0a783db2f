/** Echo server for the benchmark: sends back what comes, ends when the peer ends. Arguments: address port. */
import { createServer } from 'node:net';

const [address = '127.0.0.1', port = '0'] = process.argv.slice(2);
createServer({ noDelay: true }, (socket) => {
  socket.on('data', (chunk) => socket.write(chunk));
  socket.on('error', () => socket.destroy());
}).listen(Number(port), address, () => process.stdout.write('ready\n'));
