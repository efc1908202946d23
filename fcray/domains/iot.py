"""Reference tools of the domain iot.

Readings, consumption and numbers of commands are made up from the arguments: nothing here knows a
device, only what an id looks like and what its kind can hold. `list_alarms` has no reference, since
its schema says all that there is to say. Every function raises Refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from fcray.domains import checks
from fcray.domains.refused import refusal

_HOLDS: Mapping[str, tuple[float, float]] = {
    "freezer": (-40, 0),
    "fridge": (-5, 15),
    "refrigerator": (-5, 15),
    "boiler": (20, 150),
    "oven": (20, 150),
}
"""Kind of a device → what it can be set to, in °C; other kinds can be set to anything."""

_QUANTITIES: Mapping[str, tuple[str, int, int]] = {
    "pressure": ("kPa", 900, 9000),
    "humidity": ("%", 100, 950),
    "vibration": ("mm/s", 1, 120),
    "voltage": ("V", 2100, 4200),
    "current": ("A", 1, 900),
    "flow": ("l/min", 0, 5000),
    "speed": ("rpm", 1000, 30_000),
    "level": ("%", 0, 1000),
    "power": ("kW", 1, 2000),
    "noise": ("dB", 300, 1100),
}
"""Quantity → its unit, and the bounds of a made-up reading in tenths."""

_GROUPS_A_DAY: Mapping[str, int] = {"hour": 24, "shift": 3, "day": 1}
_GROUPS = (*_GROUPS_A_DAY, "week", "month", "line", "device")


def check_temperature(device_id: str) -> dict[str, Any]:
    """A made-up reading in °C, of the right size for its kind."""
    low, high = _HOLDS.get(checks.device("device_id", device_id), (15, 90))
    tenths = checks.made_up(int(low * 10), int(high * 10), "temperature", device_id)
    return {"celsius": tenths / 10, "status": "normal"}


def trigger_alarm(device_id: str, level: str) -> dict[str, Any]:
    """The number of the alarm."""
    checks.device("device_id", device_id)
    return {"alarm_id": checks.made_up(1, 9999, "alarm", device_id, level), "active": True}


def set_target_temperature(
    device_id: str, celsius: float, hold_minutes: int | None = None
) -> dict[str, Any]:
    """What was set. A kind that cannot hold it, such as a freezer at 60 °C, is refused."""
    kind = checks.device("device_id", device_id)
    target = checks.number("celsius", celsius, -40, 150, decimals=1)
    low, high = _HOLDS.get(kind, (-40, 150))
    if not low <= target <= high:
        raise refusal("celsius", celsius, f"is nothing that device_id {device_id} can hold")
    result: dict[str, Any] = {"ok": True, "target_celsius": target}
    if hold_minutes is not None:
        result["hold_minutes"] = checks.whole("hold_minutes", hold_minutes, 1, 1440)
    return result


def read_sensor(
    device_id: str, quantity: str, average_minutes: int | None = None
) -> dict[str, Any]:
    """A made-up reading with its unit."""
    checks.device("device_id", device_id)
    unit, low, high = _QUANTITIES[checks.one_of("quantity", quantity, _QUANTITIES)]
    if average_minutes is not None:
        checks.whole("average_minutes", average_minutes, 1, 1440)
    tenths = checks.made_up(low, high, quantity, device_id, average_minutes)
    return {"value": tenths / 10, "unit": unit, "status": "normal"}


def schedule_maintenance(
    device_id: str,
    date: str,
    time: str = "08:00",
    hours: float = 1,
    task: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The work order, and when the device is free again."""
    checks.device("device_id", device_id)
    begin = checks.day("date", date)
    checks.ahead("date", begin, today)
    start = datetime.combine(begin, checks.clock("time", time))
    length = checks.number("hours", hours, 0.5, 12, step=0.5)
    if task is not None:
        checks.text("task", task)
    order = checks.made_up(1000, 9999, "maintenance", device_id, date, time, task)
    result: dict[str, Any] = {"work_order": f"WO-{order}", "status": "confirmed"}
    until = start + timedelta(hours=length)
    return result | {"until": until.isoformat(timespec="minutes")}


def stop_machine(
    device_id: str, emergency: bool = False, at: str | None = None, *, today: date | None = None
) -> dict[str, Any]:
    """The number of the command. An emergency does not wait, so that one with a time is refused."""
    checks.device("device_id", device_id)
    if at is not None:
        checks.ahead("at", checks.moment("at", at).date(), today)
        if emergency:
            raise refusal("at", at, "does not go with emergency true: that stops at once")
    command = checks.made_up(1000, 9999, "stop", device_id, emergency, at)
    return {"ok": True, "command_id": command, "stops": "now" if at is None else at}


def get_energy_report(
    start_date: str, end_date: str, group_by: str = "day", *, today: date | None = None
) -> dict[str, Any]:
    """Made-up consumption in kWh from the first to the last day, and how many rows it falls into."""
    first, last = checks.period(start_date, end_date, today)
    checks.one_of("group_by", group_by, _GROUPS)
    kwh = ((last - first).days + 1) * checks.made_up(200, 900, "energy", group_by)
    return {"total_kwh": kwh, "until": last.isoformat(), "rows": _rows(first, last, group_by)}


def _rows(first: date, last: date, group_by: str) -> int:
    """Weeks and months that are only touched count; lines and devices are made up."""
    days = (last - first).days + 1
    if group_by == "week":
        mondays = [one - timedelta(days=one.weekday()) for one in (first, last)]
        return (mondays[1] - mondays[0]).days // 7 + 1
    if group_by == "month":
        return (last.year - first.year) * 12 + last.month - first.month + 1
    if group_by in _GROUPS_A_DAY:
        return days * _GROUPS_A_DAY[group_by]
    return checks.made_up(2, 12, "groups", group_by)


def acknowledge_alarm(alarm_id: int, note: str | None = None) -> dict[str, Any]:
    """How many alarms are still open."""
    number = checks.whole("alarm_id", alarm_id, 1, 9999)
    if note is not None:
        checks.text("note", note)
    return {"ok": True, "still_open": checks.made_up(0, 9, "acknowledge", number)}


def configure_threshold(
    device_id: str, limits: dict[str, float], level: str = "medium"
) -> dict[str, Any]:
    """What was set. Limits in which the device never is would ring forever, and are refused."""
    kind = checks.device("device_id", device_id)
    held = checks.fields("limits", limits, ("min", "max"))
    low = checks.number("limits.min", held["min"], -60, 200, decimals=1)
    high = checks.number("limits.max", held["max"], -60, 200, decimals=1)
    if low >= high:
        raise refusal("limits.min", low, f"is not below limits.max {high}")
    coldest, warmest = _HOLDS.get(kind, (-60, 200))
    if high < coldest or low > warmest:
        raise refusal("limits", limits, f"is nothing that device_id {device_id} can hold")
    return {"ok": True, "limits": {"min": low, "max": high}, "level": level}


def switch_valves(valves: list[str], open: bool, delay_seconds: int = 0) -> dict[str, Any]:
    """How many valves are switched, and when."""
    found = checks.distinct("valves", valves)
    for index, valve in enumerate(found):
        checks.device(f"valves[{index}]", valve)
    delay = checks.whole("delay_seconds", delay_seconds, 0, 600)
    return {"status": "accepted", "valves": len(found), "open": open, "in_seconds": delay}


TOOLS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        check_temperature,
        trigger_alarm,
        set_target_temperature,
        read_sensor,
        schedule_maintenance,
        stop_machine,
        get_energy_report,
        acknowledge_alarm,
        configure_threshold,
        switch_valves,
    )
}
