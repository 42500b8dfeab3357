// Package eddyline is what a handler sees: events, outcomes, log, metrics, settings and
// what it remembers.
//
// A handler is called, computes, and returns. There are no files and no network;
// time.Sleep traps, time.Now is a fixed time, and goroutines run while a call does.
package eddyline

import (
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"
)

// Event is one event.
type Event struct {
	Tenant  string
	Channel string
	// ID is unique in the stream.
	ID string
	// Seq is the sequence in the stream that the function reads.
	Seq uint64
	// TimeMS is when the stream stored the event, milliseconds since 1970: the same at
	// every replay.
	TimeMS float64
	// Attempt is 1 for the first attempt.
	Attempt uint32
	// Publisher is the user who published it.
	Publisher string
	Headers   map[string]string
	// ContentType is empty where the publisher named none.
	ContentType string
	// Data must not be changed.
	Data []byte
}

// Text is the data as text; false where it is no UTF-8.
func (event Event) Text() (string, bool) {
	return string(event.Data), utf8.Valid(event.Data)
}

// JSON reads the data into a value.
func (event Event) JSON(value any) error {
	return json.Unmarshal(event.Data, value)
}

// Pass lets the event go on as it is.
func (event Event) Pass() Outcome {
	return Ack(Emit{Bytes: event.Data, Headers: event.Headers})
}

// Emit is an event to emit. Of JSON, Bytes and Text the first that is set is its data.
// Unless given, its channel is the event's, and so is the content type of Bytes and Text.
type Emit struct {
	Channel     string
	ContentType string
	// Headers of the event are not inherited.
	Headers map[string]string
	JSON    any
	Bytes   []byte
	Text    string
}

func (emit Emit) data() ([]byte, string) {
	switch {
	case emit.JSON != nil:
		data, err := json.Marshal(emit.JSON)
		if err != nil {
			panic(err)
		}
		if emit.ContentType == "" {
			return data, "application/json"
		}
		return data, emit.ContentType
	case emit.Bytes != nil:
		return emit.Bytes, emit.ContentType
	default:
		return []byte(emit.Text), emit.ContentType
	}
}

// Outcome says what is to happen with an event.
type Outcome struct {
	verdict verdict
	emits   []Emit
	reason  string
	delay   time.Duration
}

type verdict uint8

// The cases of the variant outcome, in the order of wit/events.wit.
const (
	ack verdict = iota
	drop
	reject
	retry
	halt
)

// Ack is done; what is emitted is stored. A gate that emits nothing has dropped the event.
func Ack(emits ...Emit) Outcome { return Outcome{verdict: ack, emits: emits} }

// Drop filters the event out; a gate's publisher is told why.
func Drop(reason string) Outcome { return Outcome{verdict: drop, reason: reason} }

// Reject is for what can never be good: a dead letter now; a gate's publisher is told why.
func Reject(reason string) Outcome { return Outcome{verdict: reject, reason: reason} }

// Retry is again later, with 0 when the host thinks best; the channel waits, others go on.
func Retry(reason string, delay time.Duration) Outcome {
	return Outcome{verdict: retry, reason: reason, delay: delay}
}

// Halt stops the function on this lane until somebody intervenes.
func Halt(reason string) Outcome { return Outcome{verdict: halt, reason: reason} }

// Trace writes a line of the function's log.
func Trace(message string) { logWrite(0, message) }

// Debug writes a line of the function's log.
func Debug(message string) { logWrite(1, message) }

// Info writes a line of the function's log.
func Info(message string) { logWrite(2, message) }

// Warn writes a line of the function's log.
func Warn(message string) { logWrite(3, message) }

// Error writes a line of the function's log.
func Error(message string) { logWrite(4, message) }

// Count adds to a counter under the function's name.
func Count(name string, delta uint64) { metricsCount(name, delta) }

// Gauge sets a gauge under the function's name.
func Gauge(name string, value float64) { metricsGauge(name, value) }

// Observe adds a value to a histogram under the function's name.
func Observe(name string, value float64) { metricsObserve(name, value) }

// Setting is one of the settings that were deployed with the function; Serve's first
// function is given all of them.
func Setting(key string) (string, bool) {
	value, there := configGet(key)
	return string(value), there
}

// Errors of Remember.
var (
	ErrKey  = errors.New("the key is empty or too long")
	ErrFull = errors.New("the channel's memory would have too many keys or bytes")
)

// Recall is what the event's channel remembers under a key.
func Recall(key string) ([]byte, bool) { return stateGet(key) }

// Remember keeps a value for the event's channel, for so long by the time of events; 0 is
// for ever. It is stored with what the event emits, if its outcome is Ack.
func Remember(key string, value []byte, ttl time.Duration) error {
	switch statePut(key, value, uint64(ttl.Milliseconds())) {
	case putFine:
		return nil
	case putKey:
		return ErrKey
	default:
		return ErrFull
	}
}

// Forget drops a key of the event's channel.
func Forget(key string) { stateDelete(key) }

// Serve says which functions handle events; called once, from init.
func Serve(setup func(settings map[string]string) error, handle func(Event) Outcome) {
	onSetup, onEvent = setup, handle
}
