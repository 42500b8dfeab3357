// A gate that lets short messages pass, in capitals.

import { reject, type Event, type Result } from './eddyline/index.js';

let bytesMax = 280;

/** Called once for each instance, before the first event. */
export function setup(settings: Record<string, string>): void {
  bytesMax = Number(settings.bytes_max ?? bytesMax);
  if (!Number.isInteger(bytesMax)) throw new Error('bytes_max is no whole number');
}

/** Called for each event, in order. */
export function handle(event: Event): Result {
  const text = event.text();
  if (text === null) return reject('not text');
  if (event.bytes().length > bytesMax) return reject(`over ${bytesMax} bytes`);
  console.log(`${event.bytes().length} bytes on ${event.channel}`);
  return { text: text.toUpperCase(), headers: event.headers };
}
