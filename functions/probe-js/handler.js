// A function for trying out outcomes and limits: does what each event tells it to. The
// data of an event is {"do": .., "times": ..}, as for the probe in Rust.

import { StateError, config, drop, halt, metrics, reject, retry, state } from './eddyline/index.js';

let counted = 0;

export function setup(settings) {
  if (settings.refuse !== config.get('refuse')) throw new Error('two settings');
  if (settings.refuse) throw new Error(settings.refuse);
}

export function handle(event) {
  const order = event.json();
  const { do: action, times = 1 } = order;
  counted += 1;
  switch (action) {
    case 'pass': return event.pass();
    case 'drop': return drop('dropped as told');
    case 'reject': return reject('rejected as told');
    case 'retry': return retry('retried as told', times);
    case 'halt': return halt('halted as told');
    case 'json': return { json: { text: 'größer', n: 7 }, headers: { kind: 'large' } };
    case 'bytes': return { bytes: event.bytes() };
    case 'count': return { text: String(counted) };
    case 'remember': return remember(order);
    case 'forget': state.delete('count'); break;
    case 'emit': return Array.from({ length: times }, (_, n) => ({ json: n }));
    case 'huge': return { text: 'x'.repeat(times << 20) };
    case 'print': console.log('printed', { as: 'told' }); return;
    case 'trap': throw new RangeError('trapped as told');
    case 'async': return Promise.resolve();
    case 'wrong': return 7;
    case 'stack': return descend(0);
    case 'loop': for (;;) counted ^= 1;
    case 'memory': return fill();
    case 'log': for (let n = 0; n < times; n++) console.log('line', n); break;
    case 'metrics': for (let n = 0; n < times; n++) metrics.count(`name_${event.seq}_${n}`); break;
    case 'state': return flood(times) ?? event.pass();
    default: return reject('no order');
  }
  return event.pass();
}

// Counts under a key; with `times`, keeps so many KiB as well, for a millisecond.
function remember({ key = 'count', times, then }) {
  const was = state.getBytes('large')?.length ?? 0;
  const count = (state.get(key) ?? 0) + 1;
  try {
    state.put(key, count);
    if (times) state.putBytes('large', new Uint8Array(times << 10), 1);
  } catch (error) {
    if (error instanceof StateError) return reject(`${error.problem}: ${error.message}`);
    throw error;
  }
  return then ? reject('rejected as told') : { json: [count, was] };
}

// Keeps so many keys.
function flood(times) {
  try {
    for (let n = 0; n < times; n++) state.putBytes(`k${n}`, new Uint8Array());
  } catch (error) {
    if (error instanceof StateError) return reject(`${error.problem}: ${error.message}`);
    throw error;
  }
}

function descend(depth) {
  return descend(depth + 1) + 1;
}

function fill() {
  const blocks = [];
  for (;;) blocks.push(new Uint8Array(1 << 20));
}
