"""A gate that lets short messages pass, in capitals."""

from eddyline import Emit, Event, log, reject

bytes_max = 280


def setup(settings: dict[str, str]) -> None:
    """Called once for each instance, before the first event."""
    global bytes_max
    bytes_max = int(settings.get("bytes_max", bytes_max))


def handle(event: Event):
    """Called for each event, in order."""
    text = event.text()
    if text is None:
        return reject("not text")
    if len(event.bytes()) > bytes_max:
        return reject(f"over {bytes_max} bytes")
    log.info(f"{len(event.bytes())} bytes on {event.channel}")
    return Emit(text=text.upper(), headers=event.headers)
