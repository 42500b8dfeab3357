// What a handler imports: outcomes, log, metrics, settings, state. See index.d.ts.

import { write } from 'eddyline:function/log@1.0.0';
import * as hostMetrics from 'eddyline:function/metrics@1.0.0';
import { get } from 'eddyline:function/config@1.0.0';
import * as hostState from 'eddyline:function/state@1.0.0';

/** What `drop`, `reject` and the others return; a handler returns it as it is. */
export class Outcome {
  constructor(tag, val) {
    this.tag = tag;
    this.val = val;
  }
}

export const drop = (reason) => new Outcome('drop', String(reason ?? ''));
export const reject = (reason) => new Outcome('reject', String(reason ?? ''));
export const halt = (reason) => new Outcome('halt', String(reason ?? ''));
export const retry = (reason, delayMs) =>
  new Outcome('retry', {
    delayMs: delayMs === undefined ? undefined : Math.max(0, Math.round(delayMs)),
    reason: String(reason ?? ''),
  });

export const log = {
  trace: (...values) => write('trace', line(values)),
  debug: (...values) => write('debug', line(values)),
  info: (...values) => write('info', line(values)),
  warn: (...values) => write('warn', line(values)),
  error: (...values) => write('error', line(values)),
};

export const metrics = {
  count: (name, delta = 1) => hostMetrics.count(name, delta),
  gauge: (name, value) => hostMetrics.gauge(name, value),
  observe: (name, value) => hostMetrics.observe(name, value),
};

export const config = { get: (key) => get(key) ?? undefined };

const problems = {
  key: 'the key is not 1 to 256 bytes',
  full: "the channel's memory is full: 256 keys, 128 KiB",
};

/** Why a value is not remembered; nothing was written. */
export class StateError extends Error {
  constructor(problem) {
    super(problems[problem]);
    this.name = 'StateError';
    this.problem = problem;
  }
}

export const state = {
  get: (key) => {
    const bytes = state.getBytes(key);
    return bytes && JSON.parse(decodeUtf8(bytes));
  },
  getBytes: (key) => hostState.get(0, key) ?? undefined,
  put: (key, value, ttlMs) => {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`${typeof value} is no JSON`);
    state.putBytes(key, encodeUtf8(text), ttlMs);
  },
  putBytes: (key, bytes, ttlMs) => {
    // For the host, 0 is for ever.
    const ms = ttlMs === undefined ? 0 : Math.max(1, Math.round(ttlMs));
    if (!Number.isSafeInteger(ms)) throw new RangeError(`ttlMs is ${ttlMs}`);
    try {
      hostState.put(0, key, bytes, ms);
    } catch (error) {
      // Whatever else was wrong, with the arguments for example, is thrown as it is.
      throw error.payload in problems ? new StateError(error.payload) : error;
    }
  },
  delete: (key) => hostState.delete(0, key),
};

/** Says what an exception is, and where it came from. */
export function describe(error) {
  if (!(error instanceof Error)) return String(error);
  return `${error.name}: ${error.message}\n${error.stack ?? ''}`.trimEnd();
}

function line(values) {
  return values.map(show).join(' ');
}

function show(value) {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return describe(value);
  if (typeof value === 'bigint' || typeof value === 'function') return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** The text of UTF-8 bytes; null where they are none. */
export function decodeUtf8(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at];
    const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length === 0 || at + length > bytes.length) return null;
    let point = length === 1 ? first : first & (0x7f >> length);
    for (let next = 1; next < length; next++) {
      const byte = bytes[at + next];
      if ((byte & 0xc0) !== 0x80) return null;
      point = (point << 6) | (byte & 0x3f);
    }
    const overlong = (length === 3 && point < 0x800) || (length === 4 && point < 0x10000);
    if (overlong || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return null;
    text += String.fromCodePoint(point);
    at += length;
  }
  return text;
}

/** The UTF-8 bytes of a text; halves of surrogate pairs become U+FFFD. */
export function encodeUtf8(text) {
  const bytes = [];
  for (const character of text) {
    let point = character.codePointAt(0);
    if (point >= 0xd800 && point < 0xe000) point = 0xfffd;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
    else if (point < 0x10000)
      bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
    else
      bytes.push(
        0xf0 | (point >> 18),
        0x80 | ((point >> 12) & 0x3f),
        0x80 | ((point >> 6) & 0x3f),
        0x80 | (point & 0x3f),
      );
  }
  return Uint8Array.from(bytes);
}

globalThis.console ??= {
  ...log,
  log: log.info,
};
