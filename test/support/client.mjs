// The client of the end-to-end tests; each mode prints JSON lines.
//   node client.mjs ask ADDRESS PORT TIMES             a new HTTP connection each: { names: { NAME: times }, errors: [] }
//   node client.mjs upload|download ADDRESS PORT BYTES { name, bytes, sha256, expected }
//   node client.mjs datagrams ADDRESS PORT SOCKETS EACH { names, errors, moved }
//   node client.mjs hold ADDRESS PORT CONNECTIONS      keeps connections and asks on each every 20 ms;
//       a line with the figures whenever a line comes on standard input, the last on SIGTERM:
//       { asked, answered, resets: [], moved, names }
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import http from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const ASK_EVERY_MS = 20;
const ANSWER_WITHIN_MS = 5000;
const [mode, address, portText, ...rest] = process.argv.slice(2);
const port = Number(portText);
const print = (value) => console.log(JSON.stringify(value));
const tally = (counts, name) => {
  counts[name] = (counts[name] ?? 0) + 1;
};

function request(options, body) {
  return new Promise((resolve, reject) => {
    const outgoing = http.request(
      { host: address, port, agent: false, timeout: 20_000, ...options },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
        response.on('error', reject);
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('timeout')));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function pattern(length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 17 + (i >>> 16)) & 0xff;
  return bytes;
}

async function ask(times) {
  const names = {};
  const errors = [];
  for (let i = 0; i < times; i++) {
    try {
      tally(names, (await request({ path: '/' })).body.toString());
    } catch (error) {
      errors.push(error.message);
    }
  }
  print({ names, errors });
}

async function upload(length) {
  const body = pattern(length);
  const answer = JSON.parse((await request({ method: 'POST', path: '/' }, body)).body.toString());
  print({ ...answer, expected: createHash('sha256').update(body).digest('hex') });
}

async function download(length) {
  const { headers, body } = await request({ path: `/bytes/${length}` });
  print({
    name: headers['x-backend'],
    bytes: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
    expected: headers['x-sha256'],
  });
}

async function datagrams(sockets, each) {
  const names = {};
  const errors = [];
  let moved = 0;
  for (let i = 0; i < sockets; i++) {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    await new Promise((resolve) => socket.bind(0, resolve));
    let first;
    for (let n = 0; n < each; n++) {
      const text = `${i}-${n}`;
      const answer = await new Promise((resolve) => {
        const late = setTimeout(() => resolve(undefined), ANSWER_WITHIN_MS);
        socket.once('message', (message) => {
          clearTimeout(late);
          resolve(message.toString());
        });
        socket.send(text, port, address);
      });
      const [name, echoed] = (answer ?? '').split(' ');
      if (echoed !== text) errors.push(`${text}: ${answer ?? 'no answer'}`);
      first ??= name;
      if (name !== first) moved += 1;
    }
    tally(names, first);
    socket.close();
  }
  print({ names, errors, moved });
}

function hold(connections) {
  const names = {};
  const resets = [];
  let asked = 0;
  let answered = 0;
  let moved = 0;
  let stopping = false;
  const figures = () => ({ asked, answered, resets, moved, names });
  for (let i = 0; i < connections; i++) {
    const socket = connect({ host: address, port, noDelay: true });
    let owner;
    const fail = (why) => {
      if (!stopping && !socket.failed) {
        socket.failed = true;
        resets.push(`${i}: ${why}`);
      }
    };
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('closed'));
    createInterface({ input: socket }).on('line', (line) => {
      const [name] = line.split(' ');
      answered += 1;
      if (owner === undefined) tally(names, name);
      else if (owner !== name) moved += 1;
      owner = name;
    });
    setInterval(() => {
      if (socket.failed || stopping) return;
      asked += 1;
      socket.write(`${asked}\n`);
    }, ASK_EVERY_MS);
  }
  createInterface({ input: process.stdin }).on('line', () => print(figures()));
  process.on('SIGTERM', () => {
    stopping = true;
    // The questions under way still have their time to be answered.
    const end = Date.now() + ANSWER_WITHIN_MS;
    const wait = setInterval(() => {
      if (answered < asked && Date.now() < end) return;
      clearInterval(wait);
      process.stdout.write(`${JSON.stringify(figures())}\n`, () => process.exit(0));
    }, 10);
  });
}

const numbers = rest.map(Number);
const modes = { ask, upload, download, datagrams, hold };
await modes[mode](...numbers);
