package eddyline

// The interface of wit/ by hand: how WebAssembly's canonical ABI lays its values out in
// memory. Offsets are those of the records in wit/events.wit, in their order.

import (
	"fmt"
	"sort"
	"unsafe"
)

var (
	onSetup func(map[string]string) error
	onEvent func(Event) Outcome
	// What the host was given room for and nobody has read yet, and what it is to read of
	// the last call: the garbage collector sees no pointers to either.
	given, told []any
)

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	room := make([]uint64, (size+7)/8+1) // words, because nothing is aligned to more
	start := unsafe.Pointer(&room[0])
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(start), size), unsafe.Slice((*byte)(old), min(oldSize, size)))
	}
	given = append(given, room)
	return start
}

//go:wasmexport setup
func setup(settings unsafe.Pointer, count uint32) unsafe.Pointer {
	defer lament()
	told = nil
	result := room(12)
	read := pairs(settings, count)
	given = nil
	if onSetup == nil {
		result.put(0, 1)
		result.text(4, "the handler calls eddyline.Serve nowhere in an init function")
	} else if err := onSetup(read); err != nil {
		result.put(0, 1)
		result.text(4, err.Error())
	}
	return result.at
}

//go:wasmexport handle
func handle(record unsafe.Pointer) unsafe.Pointer {
	defer lament()
	told = nil
	event := readEvent(place{record})
	given = nil
	outcome := onEvent(event)
	result := room(20)
	result.put(0, byte(outcome.verdict))
	switch outcome.verdict {
	case ack:
		emits := room(44 * len(outcome.emits))
		for index, emit := range outcome.emits {
			writeEmit(emits.plus(44*index), emit)
		}
		result.list(4, emits.at, len(outcome.emits))
	case retry:
		if delay := outcome.delay.Milliseconds(); outcome.delay > 0 {
			result.put(4, 1)
			result.number(8, uint32(min(max(delay, 1), 1<<32-1)))
		}
		result.text(12, outcome.reason)
	default:
		result.text(4, outcome.reason)
	}
	return result.at
}

// lament tells the log why a call fails: nobody else would.
func lament() {
	if problem := recover(); problem != nil {
		Error(fmt.Sprint("panic: ", problem))
		panic(problem)
	}
}

func readEvent(event place) Event {
	read := Event{
		Tenant:    event.getText(0),
		Channel:   event.getText(8),
		ID:        event.getText(16),
		Seq:       *(*uint64)(event.plus(24).at),
		TimeMS:    *(*float64)(event.plus(32).at),
		Attempt:   event.get(40),
		Publisher: event.getText(44),
		Headers:   pairs(event.pointer(52), event.get(56)),
		Data:      event.bytes(76),
	}
	if event.byte(60) == 1 {
		read.ContentType = event.getText(64)
	}
	return read
}

func writeEmit(record place, emit Emit) {
	data, contentType := emit.data()
	if emit.Channel != "" {
		record.put(0, 1)
		record.text(4, emit.Channel)
	}
	if contentType != "" {
		record.put(12, 1)
		record.text(16, contentType)
	}
	names := make([]string, 0, len(emit.Headers))
	for name := range emit.Headers {
		names = append(names, name)
	}
	// The order of a map is not the same twice; that of an event has to be.
	sort.Strings(names)
	headers := room(16 * len(names))
	for index, name := range names {
		headers.plus(16*index).text(0, name)
		headers.plus(16*index).text(8, emit.Headers[name])
	}
	record.list(24, headers.at, len(names))
	record.put(32, 1)
	told = append(told, data)
	record.list(36, unsafe.Pointer(unsafe.SliceData(data)), len(data))
}

// place is somewhere in memory.
type place struct{ at unsafe.Pointer }

// room is new memory, all zero, kept until the next call.
func room(size int) place {
	words := make([]uint64, (size+7)/8+1)
	told = append(told, words)
	return place{unsafe.Pointer(&words[0])}
}

func (p place) plus(offset int) place           { return place{unsafe.Add(p.at, offset)} }
func (p place) byte(offset int) byte            { return *(*byte)(p.plus(offset).at) }
func (p place) get(offset int) uint32           { return *(*uint32)(p.plus(offset).at) }
func (p place) put(offset int, value byte)      { *(*byte)(p.plus(offset).at) = value }
func (p place) number(offset int, value uint32) { *(*uint32)(p.plus(offset).at) = value }

func (p place) pointer(offset int) unsafe.Pointer {
	return unsafe.Pointer(uintptr(p.get(offset)))
}

func (p place) bytes(offset int) []byte {
	return unsafe.Slice((*byte)(p.pointer(offset)), p.get(offset+4))
}

func (p place) getText(offset int) string {
	return unsafe.String((*byte)(p.pointer(offset)), p.get(offset+4))
}

func (p place) list(offset int, at unsafe.Pointer, length int) {
	p.number(offset, uint32(uintptr(at)))
	p.number(offset+4, uint32(length))
}

func (p place) text(offset int, text string) {
	told = append(told, text)
	p.list(offset, unsafe.Pointer(unsafe.StringData(text)), len(text))
}

// pairs reads a list of pairs of texts.
func pairs(at unsafe.Pointer, count uint32) map[string]string {
	read := make(map[string]string, count)
	for index := range int(count) {
		pair := place{at}.plus(16 * index)
		read[pair.getText(0)] = pair.getText(8)
	}
	return read
}

//go:wasmimport eddyline:function/log@1.0.0 write
func logWrite(level uint32, message string)

//go:wasmimport eddyline:function/metrics@1.0.0 count
func metricsCount(name string, delta uint64)

//go:wasmimport eddyline:function/metrics@1.0.0 gauge
func metricsGauge(name string, value float64)

//go:wasmimport eddyline:function/metrics@1.0.0 observe
func metricsObserve(name string, value float64)

//go:wasmimport eddyline:function/config@1.0.0 get
func importConfigGet(key string, result unsafe.Pointer)

//go:wasmimport eddyline:function/state@1.0.0 get
func importStateGet(source uint32, key string, result unsafe.Pointer)

//go:wasmimport eddyline:function/state@1.0.0 put
func importStatePut(source uint32, key string, value unsafe.Pointer, length uint32, ttl uint64, result unsafe.Pointer)

//go:wasmimport eddyline:function/state@1.0.0 delete
func importStateDelete(source uint32, key string)

// What statePut says: whether it went well, and if not, the case of the enum problem.
const (
	putFine = iota
	putKey
	putFull
)

func configGet(key string) ([]byte, bool) {
	result := room(12)
	importConfigGet(key, result.at)
	return optional(result)
}

func stateGet(key string) ([]byte, bool) {
	result := room(12)
	importStateGet(0, key, result.at)
	return optional(result)
}

func statePut(key string, value []byte, ttl uint64) int {
	result := room(2)
	importStatePut(0, key, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)), ttl, result.at)
	if result.byte(0) == 0 {
		return putFine
	}
	return putKey + int(result.byte(1))
}

func stateDelete(key string) { importStateDelete(0, key) }

// optional reads an option of a list of bytes.
func optional(result place) ([]byte, bool) {
	if result.byte(0) == 0 {
		return nil, false
	}
	return result.bytes(4), true
}
