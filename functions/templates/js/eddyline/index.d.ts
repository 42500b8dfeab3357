// What a handler sees. Files, network, timers, randomness for secrets and async functions
// are not there: a handler is called, computes, and returns.

/** One event. */
export interface Event {
  readonly tenant: string;
  readonly channel: string;
  /** Unique in the stream. */
  readonly id: string;
  /** Sequence in the stream that the function reads; exact up to 2^53. */
  readonly seq: number;
  /** When the stream stored the event, milliseconds since 1970: the same at every replay. */
  readonly timeMs: number;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The user who published it. */
  readonly publisher: string;
  readonly headers: Record<string, string>;
  readonly contentType: string;
  /** The data as text; null where it is no UTF-8. */
  text(): string | null;
  bytes(): Uint8Array;
  /** The data as JSON; throws a SyntaxError where it is none. */
  json(): any;
  /** The event as it is, to be returned. */
  pass(): Emission;
}

/** An event to emit: return one, or several in an array. */
export type Emission = {
  /** Where to; unless given, the channel of the event. */
  channel?: string;
  /** Unless given: JSON for `json`, otherwise the event's. */
  contentType?: string;
  headers?: Record<string, string>;
} & ({ json: unknown } | { text: string } | { bytes: Uint8Array } | { data: unknown });

/** What a handler may return; nothing is an event that is done and emits nothing. */
export type Result = Emission | Emission[] | Outcome | undefined | null | void;

export declare class Outcome {
  private constructor();
}

/** Filtered out; a gate's publisher is told why. */
export declare function drop(reason: string): Outcome;
/** Never good: a dead letter now; a gate's publisher is told why. */
export declare function reject(reason: string): Outcome;
/** Again later; the channel waits, other channels go on. */
export declare function retry(reason: string, delayMs?: number): Outcome;
/** The function stops on this lane until somebody intervenes. */
export declare function halt(reason: string): Outcome;

type Write = (...values: unknown[]) => void;

/** The function's log; `console` writes there as well. */
export declare const log: { trace: Write; debug: Write; info: Write; warn: Write; error: Write };

/** Metrics under the function's name; names match [a-z][a-z0-9_]{0,63}, at most 64. */
export declare const metrics: {
  count(name: string, delta?: number): void;
  gauge(name: string, value: number): void;
  observe(name: string, value: number): void;
};

/** The settings that were deployed with the function; `setup` is given all of them. */
export declare const config: { get(key: string): string | undefined };

/**
 * The memory of the event's channel, for the time of `handle`: an event sees what the
 * events of its channel before it have left. What it writes is stored with its emissions,
 * and was never written if it is dropped, rejected or retried, or throws. 256 keys of 1 to
 * 256 bytes, 128 KiB of keys and values.
 */
export declare const state: {
  /** The value of a key that `put` has written; undefined where there is none. */
  get<T = any>(key: string): T | undefined;
  getBytes(key: string): Uint8Array | undefined;
  /**
   * Remembers a value, as JSON; with `ttlMs` for so many milliseconds, counted in event
   * time from this event. Throws a StateError where it cannot.
   */
  put(key: string, value: unknown, ttlMs?: number): void;
  putBytes(key: string, bytes: Uint8Array, ttlMs?: number): void;
  delete(key: string): void;
};

/** Why a value is not remembered; nothing was written. */
export declare class StateError extends Error {
  readonly problem: 'key' | 'full';
  private constructor();
}

/** The text of UTF-8 bytes; null where they are none. */
export declare function decodeUtf8(bytes: Uint8Array): string | null;
export declare function encodeUtf8(text: string): Uint8Array;

declare global {
  /** Writes into the function's log. */
  var console: { log: Write; trace: Write; debug: Write; info: Write; warn: Write; error: Write };
}
