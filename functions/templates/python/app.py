"""The exports of the world `simple`, around the handler. Not to be changed.

An exception is logged here before it ends the call, and what the handler returns is
checked. The modules imported below are those that a handler may import as well.
"""

# ruff: noqa: F401
import base64
import bisect
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import hmac
import heapq
import itertools
import json
import math
import operator
import random
import re
import statistics
import string
import textwrap
import time
import traceback
import typing
import unicodedata
import urllib.parse
import uuid

import handler
import wit_world
from componentize_py_types import Err
from eddyline import Emit, Event, Outcome, log
from wit_world.imports import events


class WitWorld(wit_world.WitWorld):
    def setup(self, settings):
        try:
            if hasattr(handler, "setup"):
                handler.setup(dict(settings))
        except Exception as error:
            _log_exception(error)
            raise Err(_describe(error)) from None

    def handle(self, event):
        try:
            return _outcome(handler.handle(_event(event)))
        except Exception as error:
            _log_exception(error)
            raise


def _event(raw):
    return Event(
        raw.tenant, raw.channel, raw.id, raw.seq, raw.time_ms, raw.attempt, raw.publisher,
        dict(raw.headers), raw.content_type or "application/json", raw.data.value,
    )


def _outcome(result):
    if isinstance(result, Outcome):
        if result.verdict == "retry":
            return events.Outcome_Retry(events.Later(result.delay_ms, result.reason))
        named = {"drop": events.Outcome_Drop, "reject": events.Outcome_Reject,
                 "halt": events.Outcome_Halt}
        return named[result.verdict](result.reason)
    if result is None:
        return events.Outcome_Ack([])
    emits = result if isinstance(result, (list, tuple)) else [result]
    return events.Outcome_Ack([_emission(emit) for emit in emits])


def _emission(emit):
    if not isinstance(emit, Emit):
        raise TypeError(f"handle returned {type(emit).__name__}: Emit or an outcome is expected")
    data = emit.data
    payload = events.Payload_Text(data) if isinstance(data, str) else events.Payload_Bytes(data)
    headers = [(name, str(value)) for name, value in emit.headers.items()]
    return events.Emission(emit.channel, emit.content_type, headers, payload)


def _describe(error):
    return "".join(traceback.format_exception_only(error)).strip()


def _log_exception(error):
    # The source files are not there, so the lines of the traceback have no text.
    where = "".join(traceback.format_tb(error.__traceback__)[1:])
    log.error(f"{_describe(error)}\n{where}".rstrip())
