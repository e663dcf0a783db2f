/** Echo server for the benchmark: sends each datagram back. Arguments: address port. */
import { createSocket } from 'node:dgram';

const [address = '127.0.0.1', port = '0'] = process.argv.slice(2);
const socket = createSocket({ type: 'udp4', recvBufferSize: 1_048_576 });
socket.on('message', (datagram, from) => socket.send(datagram, from.port, from.address));
socket.bind(Number(port), address, () => process.stdout.write('ready\n'));
