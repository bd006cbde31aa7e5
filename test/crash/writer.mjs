// Makes random changes in a state directory, one after the other, until it is killed.
//   node writer.mjs STORE_MODULE DIRECTORY SEED
// prints `open REVISION HASH`, then for each change `under REVISION HASH` before it is recorded, `done REVISION HASH` when it
// is acknowledged. The hash is that of the whole state, versions and times included.
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';

const [, , modules, directory, seedText] = process.argv;
const { Store } = await import(new URL('store.js', modules));
const { stateText } = await import(new URL('journal-codec.js', modules));

const JOURNAL_LIMIT_BYTES = 20_000;
let seed = Number(seedText);
/** A number in 0..below-1 (xorshift32). */
const random = (below) => {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) % below;
};
const pick = (list) => list[random(list.length)];
const hashOf = (state) =>
  createHash('sha256')
    .update([...stateText(state)].join(''))
    .digest('hex')
    .slice(0, 16);
// A line is in the pipe, whole, when this returns: it outlives the process.
const say = (word, state) => writeSync(1, `${word} ${state.revision} ${hashOf(state)}\n`);

function randomChange({ pools, backends, vips }) {
  const pool = pick([...pools.keys()]);
  const backend = pick([...backends.keys()]);
  const vip = pick([...vips.keys()]);
  const id = `x${random(40)}`;
  const etag = '';
  switch (random(9)) {
    case 0:
      return { kind: 'create-pool', id, displayName: `pool ${random(100)}` };
    case 1:
      return {
        kind: 'create-vip',
        id,
        displayName: '',
        address: `192.0.2.${random(250)}`,
        port: 80,
        protocol: 'tcp',
        pool,
      };
    case 2:
    case 3:
      return { kind: 'create-backend', pool, id, address: `10.0.0.${1 + random(250)}`, weight: random(9) };
    case 4:
      return { kind: 'update-backend', name: backend, etag, fields: { weight: random(100) } };
    case 5:
      return { kind: pick(['drain-backend', 'undrain-backend']), name: backend, etag };
    case 6:
      return { kind: 'update-vip', name: vip, etag, fields: { displayName: `vip ${random(100)}` } };
    case 7:
      return {
        kind: pick(['delete-backend', 'delete-backend', 'delete-vip']),
        name: pick([backend, vip]),
        etag,
      };
    default:
      return random(4) > 0
        ? { kind: 'create-pool', id, displayName: '' }
        : { kind: 'delete-pool', name: pool, etag, force: true };
  }
}

const store = await Store.open(directory, {
  nowMs: () => Date.now(),
  epoch: `run${seedText}`,
  journalLimitBytes: JOURNAL_LIMIT_BYTES,
});
if (store.recovery.notes.some(({ kind }) => kind === 'damaged')) {
  throw new Error(`damaged: ${JSON.stringify(store.recovery.notes)}`);
}
say('open', store.state);
for (;;) {
  let draft;
  try {
    draft = store.draft(randomChange(store.state), 'writer');
  } catch (error) {
    if (!('fault' in error)) throw error;
    continue;
  }
  if (draft === store.state) continue;
  say('under', draft);
  // Some are refused by the datapath.
  await store.record(draft);
  if (random(10) === 0) {
    await store.retract(draft);
    say('retracted', store.state);
    continue;
  }
  store.commit(draft);
  say('done', draft);
}
