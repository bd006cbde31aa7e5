// UDP echo for the round trips. Prints a line when it listens.
//   node echo.js PORT ADDRESS …
import { createSocket } from 'node:dgram';

const [port = '', ...addresses] = process.argv.slice(2);
let waiting = addresses.length;
for (const address of addresses) {
  // A socket an address: an answer must leave from the address that was asked.
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(Number(port), address, () => {
    waiting -= 1;
    if (waiting === 0) console.log('ready');
  });
}
process.on('SIGTERM', () => process.exit(0));
