/**
 * At each address HTTP on 8080, a UDP echo on 8081 and a UDP sink on 8082 (nobody reads it: the kernel counts).
 * Run: node churn-servers.ts ADDRESS...
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

for (const address of process.argv.slice(2)) {
  createServer((_request, response) => response.end(address)).listen(8080, address);
  const echo = createSocket('udp4');
  echo.on('message', (datagram, from) => echo.send(datagram, from.port, from.address));
  echo.bind(8081, address);
  createSocket('udp4').bind(8082, address);
}
