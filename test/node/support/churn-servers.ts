/** HTTP on 8080 and a UDP echo on 8081 at each address. Run: node churn-servers.ts ADDRESS... */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

for (const address of process.argv.slice(2)) {
  createServer((_request, response) => response.end(address)).listen(8080, address);
  const socket = createSocket('udp4');
  socket.on('message', (datagram, from) => socket.send(datagram, from.port, from.address));
  socket.bind(8081, address);
}
