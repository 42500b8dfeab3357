"""A function for trying out outcomes and limits: does what each event tells it to.

The data of an event is {"do": .., "times": ..}, as for the probe in Rust.
"""

from eddyline import (
    Emit, StateError, config, drop, halt, log, metrics, reject, retry, state,
)

counted = 0


def setup(settings):
    if settings.get("refuse") != config.get("refuse"):
        raise ValueError("two settings")
    if "refuse" in settings:
        raise ValueError(settings["refuse"])


def handle(event):
    global counted
    counted += 1
    order = event.json()
    action, times = order["do"], order.get("times", 1)
    match action:
        case "pass":
            return event.passed()
        case "drop":
            return drop("dropped as told")
        case "reject":
            return reject("rejected as told")
        case "retry":
            return retry("retried as told", times)
        case "halt":
            return halt("halted as told")
        case "json":
            return Emit({"text": "größer", "n": 7}, headers={"kind": "large"})
        case "bytes":
            return Emit(bytes=event.bytes())
        case "count":
            return Emit(text=str(counted))
        case "remember":
            return remember(**order)
        case "forget":
            state.delete("count")
        case "emit":
            return [Emit(n) for n in range(times)]
        case "huge":
            return Emit(text="x" * (times << 20))
        case "print":
            print("printed as told")
            return None
        case "trap":
            raise RuntimeError("trapped as told")
        case "wrong":
            return 7
        case "stack":
            return descend(0)
        case "loop":
            while True:
                counted ^= 1
        case "memory":
            fill()
        case "file":
            return reject(missing())
        case "log":
            for n in range(times):
                log.info(f"line {n}")
        case "metrics":
            for n in range(times):
                metrics.count(f"name_{event.seq}_{n}")
        case "state":
            return flood(times) or event.passed()
        case _:
            return reject("no order")
    return event.passed()


def flood(times):
    """Keeps so many keys."""
    try:
        for n in range(times):
            state.put_bytes(f"k{n}", b"")
    except StateError as error:
        return reject(f"{error.problem}: {error}")


def remember(do, key="count", times=None, then=None):
    """Counts under a key; with times, keeps so many KiB as well, for a millisecond."""
    was = len(state.get_bytes("large") or b"")
    count = state.get(key, 0) + 1
    try:
        state.put(key, count)
        if times:
            state.put_bytes("large", bytes(times << 10), 1)
    except StateError as error:
        return reject(f"{error.problem}: {error}")
    return reject("rejected as told") if then else Emit([count, was])


def descend(depth):
    return descend(depth + 1) + 1


def fill():
    blocks = []
    while True:
        blocks.append(b"x" * (1 << 20))


def missing():
    try:
        open("/etc/passwd")
    except OSError as error:
        return str(error)
    return "it is there"
