// A gate that lets short messages pass, in capitals.
package main

import (
	"fmt"
	"strconv"
	"strings"

	"{{name}}/eddyline"
)

var bytesMax = 280

func init() { eddyline.Serve(setup, handle) }

// setup is called once for each instance, before the first event.
func setup(settings map[string]string) error {
	text, given := settings["bytes_max"]
	if !given {
		return nil
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("bytes_max: %w", err)
	}
	bytesMax = number
	return nil
}

// handle is called for each event, in order.
func handle(event eddyline.Event) eddyline.Outcome {
	text, ok := event.Text()
	if !ok {
		return eddyline.Reject("not text")
	}
	if len(text) > bytesMax {
		return eddyline.Reject(fmt.Sprintf("over %d bytes", bytesMax))
	}
	eddyline.Info(fmt.Sprintf("%d bytes on %s", len(text), event.Channel))
	return eddyline.Ack(eddyline.Emit{Text: strings.ToUpper(text), Headers: event.Headers})
}

func main() {}
