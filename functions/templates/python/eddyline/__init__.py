"""What a handler imports: events, outcomes, log, metrics, settings, state.

Files, network, threads and native packages are not there: a handler is called,
computes, and returns. The component holds the modules that were imported when it was
built, at the top of a file: an import inside a function fails when it runs.
"""

import json as _json
from dataclasses import dataclass, field
from typing import Any, Optional

from componentize_py_types import Err as _Err
from wit_world.imports import config as _config
from wit_world.imports import log as _log
from wit_world.imports import metrics as _metrics
from wit_world.imports import state as _state

_JSON = "application/json"
_NOTHING = object()


@dataclass(frozen=True)
class Event:
    """One event."""

    tenant: str
    channel: str
    id: str
    """Unique in the stream."""
    seq: int
    """Sequence in the stream that the function reads."""
    time_ms: float
    """When the stream stored it, milliseconds since 1970: the same at every replay."""
    attempt: int
    """1 for the first attempt."""
    publisher: str
    """The user who published it."""
    headers: dict[str, str]
    content_type: str
    data: Any = field(repr=False)
    """The data as str or bytes, whichever the host handed over."""

    def text(self) -> Optional[str]:
        """The data as text; None where it is no UTF-8."""
        if isinstance(self.data, str):
            return self.data
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            return None

    def bytes(self) -> bytes:
        """The data as bytes."""
        return self.data.encode() if isinstance(self.data, str) else self.data

    def json(self) -> Any:
        """The data as JSON; raises ValueError where it is none."""
        return _json.loads(self.data)

    def passed(self) -> "Emit":
        """The event as it is, to be returned."""
        text = self.data if isinstance(self.data, str) else None
        data = None if isinstance(self.data, str) else self.data
        return Emit(text=text, bytes=data, headers=self.headers)


class Emit:
    """An event to emit: return one, or several in a list.

    With `json` (or the first argument) it is encoded; `text` and `bytes` are taken as
    they are. Unless given, the channel is the event's, and so is the content type of
    text and bytes.
    """

    def __init__(self, json: Any = _NOTHING, *, text: Optional[str] = None,
                 bytes: Optional[bytes] = None, channel: Optional[str] = None,
                 content_type: Optional[str] = None, headers: Optional[dict[str, str]] = None):
        given = [json is not _NOTHING, text is not None, bytes is not None]
        if sum(given) != 1:
            raise TypeError("an Emit needs one of json, text and bytes")
        if json is not _NOTHING:
            text = _json.dumps(json, ensure_ascii=False, separators=(",", ":"))
            content_type = content_type or _JSON
        self.data = text if text is not None else bytes
        self.channel = channel
        self.content_type = content_type
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Outcome:
    """What drop, reject, retry and halt return; a handler returns it as it is."""

    verdict: str
    reason: str
    delay_ms: Optional[int] = None


def drop(reason: str) -> Outcome:
    """Filtered out; a gate's publisher is told why."""
    return Outcome("drop", str(reason))


def reject(reason: str) -> Outcome:
    """Never good: a dead letter now; a gate's publisher is told why."""
    return Outcome("reject", str(reason))


def retry(reason: str, delay_ms: Optional[int] = None) -> Outcome:
    """Again later; the channel waits, other channels go on."""
    return Outcome("retry", str(reason), delay_ms)


def halt(reason: str) -> Outcome:
    """The function stops on this lane until somebody intervenes."""
    return Outcome("halt", str(reason))


class log:
    """The function's log; print writes there as well."""

    @staticmethod
    def trace(message: Any) -> None:
        _log.write(_log.Level.TRACE, str(message))

    @staticmethod
    def debug(message: Any) -> None:
        _log.write(_log.Level.DEBUG, str(message))

    @staticmethod
    def info(message: Any) -> None:
        _log.write(_log.Level.INFO, str(message))

    @staticmethod
    def warn(message: Any) -> None:
        _log.write(_log.Level.WARN, str(message))

    @staticmethod
    def error(message: Any) -> None:
        _log.write(_log.Level.ERROR, str(message))


class metrics:
    """Metrics under the function's name; names match [a-z][a-z0-9_]{0,63}, at most 64."""

    @staticmethod
    def count(name: str, delta: int = 1) -> None:
        _metrics.count(name, delta)

    @staticmethod
    def gauge(name: str, value: float) -> None:
        _metrics.gauge(name, float(value))

    @staticmethod
    def observe(name: str, value: float) -> None:
        _metrics.observe(name, float(value))


class config:
    """The settings that were deployed with the function; setup is given all of them."""

    @staticmethod
    def get(key: str) -> Optional[str]:
        return _config.get(key)


class StateError(Exception):
    """Why a value is not remembered; nothing was written."""

    problem: str
    """"key" or "full"."""

    def __init__(self, problem: str):
        super().__init__({
            "key": "the key is not 1 to 256 bytes",
            "full": "the channel's memory is full: 256 keys, 128 KiB",
        }[problem])
        self.problem = problem


class state:
    """The memory of the event's channel, for the time of handle.

    An event sees what the events of its channel before it have left. What it writes is
    stored with its emissions, and was never written if it is dropped, rejected or
    retried, or raises. 256 keys of 1 to 256 bytes, 128 KiB of keys and values.
    """

    @staticmethod
    def get(key: str, default: Any = None) -> Any:
        """The value of a key that put has written."""
        value = _state.get(0, key)
        return default if value is None else _json.loads(value)

    @staticmethod
    def get_bytes(key: str) -> Optional[bytes]:
        return _state.get(0, key)

    @staticmethod
    def put(key: str, value: Any, ttl_ms: Optional[float] = None) -> None:
        """Remembers a value, as JSON; raises StateError where it cannot.

        With ttl_ms for so many milliseconds, counted in event time from this event.
        """
        text = _json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        state.put_bytes(key, text.encode(), ttl_ms)

    @staticmethod
    def put_bytes(key: str, value: bytes, ttl_ms: Optional[float] = None) -> None:
        # For the host, 0 is for ever.
        ms = 0 if ttl_ms is None else max(1, round(ttl_ms))
        try:
            _state.put(0, key, value, ms)
        except _Err as error:
            problem = "full" if error.value == _state.Problem.FULL else "key"
            raise StateError(problem) from None

    @staticmethod
    def delete(key: str) -> None:
        _state.delete(0, key)
