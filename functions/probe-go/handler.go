// A function for trying out outcomes and limits: does what each event tells it to. The
// data of an event is {"do": .., "times": ..}, as for the probe in Rust.
package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"shout/eddyline"
)

type order struct {
	Do    string `json:"do"`
	Times *int   `json:"times"`
	Key   string `json:"key"`
	Then  string `json:"then"`
}

var (
	counted int
	blocks  [][]byte
)

func init() { eddyline.Serve(setup, handle) }

func setup(settings map[string]string) error {
	if refuse, _ := eddyline.Setting("refuse"); refuse != settings["refuse"] {
		return errors.New("two settings")
	}
	if refuse := settings["refuse"]; refuse != "" {
		return errors.New(refuse)
	}
	return nil
}

func handle(event eddyline.Event) eddyline.Outcome {
	counted++
	var order order
	if err := event.JSON(&order); err != nil {
		panic(err)
	}
	times := 1
	if order.Times != nil {
		times = *order.Times
	}
	switch order.Do {
	case "pass":
		return event.Pass()
	case "drop":
		return eddyline.Drop("dropped as told")
	case "reject":
		return eddyline.Reject("rejected as told")
	case "retry":
		return eddyline.Retry("retried as told", time.Duration(times)*time.Millisecond)
	case "halt":
		return eddyline.Halt("halted as told")
	case "json":
		data := struct {
			Text string `json:"text"`
			N    int    `json:"n"`
		}{"größer", 7}
		return eddyline.Ack(eddyline.Emit{JSON: data, Headers: map[string]string{"kind": "large"}})
	case "bytes":
		return eddyline.Ack(eddyline.Emit{Bytes: event.Data})
	case "count":
		return eddyline.Ack(eddyline.Emit{Text: strconv.Itoa(counted)})
	case "remember":
		return remember(order)
	case "forget":
		eddyline.Forget("count")
	case "emit":
		return eddyline.Ack(make([]eddyline.Emit, times)...)
	case "huge":
		return eddyline.Ack(eddyline.Emit{Bytes: make([]byte, times<<20)})
	case "print":
		fmt.Println("printed as told")
		return eddyline.Ack()
	default:
		return violate(order.Do, times, event)
	}
	return event.Pass()
}

// violate does what ends the call, or floods.
func violate(do string, times int, event eddyline.Event) eddyline.Outcome {
	switch do {
	case "trap":
		panic("trapped as told")
	case "stack":
		return eddyline.Reject(strconv.Itoa(descend(0)))
	case "loop":
		for {
			counted ^= 1
		}
	case "memory":
		for {
			blocks = append(blocks, make([]byte, 1<<20))
		}
	case "log":
		for n := range times {
			eddyline.Info(fmt.Sprint("line ", n))
		}
	case "metrics":
		for n := range times {
			eddyline.Count(fmt.Sprintf("name_%d_%d", event.Seq, n), 1)
		}
	case "state":
		for n := range times {
			if err := eddyline.Remember(fmt.Sprint("k", n), nil, 0); err != nil {
				return refused(err)
			}
		}
	default:
		return eddyline.Reject("no order")
	}
	return event.Pass()
}

// remember counts under a key; with times, keeps so many KiB as well, for a millisecond.
func remember(order order) eddyline.Outcome {
	key := order.Key
	if key == "" {
		key = "count"
	}
	large, _ := eddyline.Recall("large")
	text, _ := eddyline.Recall(key)
	count, _ := strconv.Atoi(string(text))
	if err := eddyline.Remember(key, []byte(strconv.Itoa(count+1)), 0); err != nil {
		return refused(err)
	}
	if order.Times != nil {
		err := eddyline.Remember("large", make([]byte, *order.Times<<10), time.Millisecond)
		if err != nil {
			return refused(err)
		}
	}
	if order.Then != "" {
		return eddyline.Reject("rejected as told")
	}
	return eddyline.Ack(eddyline.Emit{JSON: [2]int{count + 1, len(large)}})
}

func refused(err error) eddyline.Outcome {
	if errors.Is(err, eddyline.ErrKey) {
		return eddyline.Reject("key: " + err.Error())
	}
	return eddyline.Reject("full: " + err.Error())
}

//go:noinline
func descend(depth int) int { return descend(depth+1) + 1 }

func main() {}
