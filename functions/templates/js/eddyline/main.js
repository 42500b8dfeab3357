// The exports of the world `simple`, around the handler. Not to be changed: an exception
// is logged here before it ends the call, and what the handler returns is checked.

import * as handler from '../handler';
import { Outcome, decodeUtf8, describe, encodeUtf8, log } from './index.js';

export function setup(settings) {
  if (typeof handler.handle !== 'function') throw 'handler exports no function handle';
  try {
    const result = handler.setup?.(Object.fromEntries(settings));
    if (typeof result?.then === 'function') throw new Error('setup must not be async');
  } catch (error) {
    log.error(describe(error));
    // A text becomes the error of the result; anything else would trap.
    throw error instanceof Error ? error.message : String(error);
  }
}

export function handle(raw) {
  try {
    return outcome(handler.handle(new Event(raw)));
  } catch (error) {
    log.error(describe(error));
    throw error;
  }
}

class Event {
  #data;
  #headers;

  constructor({ data, headers, ...fields }) {
    Object.assign(this, fields);
    this.contentType ??= 'application/json';
    this.#data = data;
    this.#headers = headers;
  }

  get headers() {
    return Object.fromEntries(this.#headers);
  }

  text() {
    return this.#data.tag === 'text' ? this.#data.val : decodeUtf8(this.#data.val);
  }

  bytes() {
    return this.#data.tag === 'bytes' ? this.#data.val : encodeUtf8(this.#data.val);
  }

  json() {
    const text = this.text();
    if (text === null) throw new SyntaxError('the data is no text');
    return JSON.parse(text);
  }

  pass() {
    return { headers: this.headers, data: this.#data };
  }
}

function outcome(result) {
  if (result instanceof Outcome) return result;
  if (typeof result?.then === 'function') throw new TypeError('handle must not be async');
  if (result === undefined || result === null) return { tag: 'ack', val: [] };
  return { tag: 'ack', val: (Array.isArray(result) ? result : [result]).map(emission) };
}

function emission(given) {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`handle returned ${typeof given}: an emission is an object`);
  }
  const { channel, contentType, headers = {} } = given;
  return {
    channel,
    contentType: contentType ?? ('json' in given ? 'application/json' : undefined),
    headers: Object.entries(headers).map(([name, value]) => [name, String(value)]),
    data: payload(given),
  };
}

function payload(given) {
  if ('json' in given) return { tag: 'text', val: JSON.stringify(given.json) ?? 'null' };
  if (typeof given.text === 'string') return { tag: 'text', val: given.text };
  if (given.bytes instanceof Uint8Array) return { tag: 'bytes', val: given.bytes };
  // What `event.pass()` hands on without decoding it.
  if (given.data) return given.data;
  throw new TypeError('an emission needs json, a text, or bytes as a Uint8Array');
}
