"""Reference tools of the domain office.

Weather, rooms and order numbers are made up from the arguments: nothing here knows a calendar or a
shop. `track_package` has no reference, since its schema says what a number looks like and there is no
more to check. Every function raises Refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from typing import Any

from fcray.domains import checks
from fcray.domains.refused import refusal

_OFFICE_OPENS, _OFFICE_CLOSES = time(7), time(22)
_KITCHEN_OPENS, _KITCHEN_CLOSES = time(10), time(22)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
_MEETING_DAYS = ("today", "tomorrow", *_WEEKDAYS)
_SKIES = ("sunny", "cloudy", "rain")
_LEAVES = ("annual", "sick", "personal", "compensatory", "parental", "study")
_REPORTED_AFTERWARDS = {"sick": 30, "personal": 7}
"""Kind of leave → days after which it may still be requested; other kinds are asked for before."""


def get_weather(city: str, day: str = "today") -> dict[str, Any]:
    """A made-up forecast."""
    checks.name("city", city, digits=False)
    sky = _SKIES[checks.made_up(0, len(_SKIES) - 1, "sky", city, day)]
    return {"sky": sky, "temp_c": checks.made_up(-5, 35, "temperature", city, day)}


def book_meeting_room(
    day: str, start_time: str, duration_minutes: int = 60, *, today: date | None = None
) -> dict[str, Any]:
    """The room, and when it is free again. The office is open from 7 to 22 o'clock.

    A weekday is the next one after today: today has a word of its own.
    """
    checks.one_of("day", day, _MEETING_DAYS)
    start = checks.clock("start_time", start_time)
    checks.open_at("start_time", start, _OFFICE_OPENS, _OFFICE_CLOSES)
    minutes = checks.whole("duration_minutes", duration_minutes, 5, 480)
    end = start.hour * 60 + start.minute + minutes
    if end > _OFFICE_CLOSES.hour * 60:
        reason = f"is too long from start_time {start_time}: the office closes at 22:00"
        raise refusal("duration_minutes", duration_minutes, reason)
    room = f"A{checks.made_up(101, 312, 'room', day, start_time, minutes)}"
    result: dict[str, Any] = {"ok": True, "room": room, "until": f"{end // 60:02}:{end % 60:02}"}
    return result if today is None else {**result, "date": _meant(day, today).isoformat()}


def _meant(day: str, today: date) -> date:
    if day in _WEEKDAYS:
        return today + timedelta(days=(_WEEKDAYS.index(day) - today.weekday() - 1) % 7 + 1)
    return today + timedelta(days=_MEETING_DAYS.index(day))


def set_reminder(text: str, time: str | None = None) -> dict[str, Any]:
    """The number of the reminder."""
    checks.text("text", text)
    if time is not None:
        checks.clock("time", time)
    return {"ok": True, "id": checks.made_up(1, 99, "reminder", text, time)}


def send_email(to: str, subject: str) -> dict[str, Any]:
    """The number of the message. What has an @ is an address, all else is a name in the address book."""
    checks.text("to", to)
    if "@" in to:
        checks.address("to", to)
    else:
        checks.name("to", to)
    checks.text("subject", subject)
    return {"sent": True, "id": f"m-{checks.made_up(1000, 9999, 'email', to, subject)}"}


def create_calendar_event(
    title: str,
    start: str,
    attendees: list[str] | None = None,
    location: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The number of the event, and how many are invited."""
    checks.text("title", title)
    checks.ahead("start", checks.moment("start", start).date(), today)
    invited = [] if attendees is None else checks.distinct("attendees", attendees, checks.name)
    if location is not None:
        checks.text("location", location)
    event = checks.made_up(1000, 9999, "event", title, start, invited, location)
    return {"id": f"ev-{event}", "status": "confirmed", "invited": len(invited)}


def book_restaurant(
    date: str, time: str, guests: int, indoor: bool | None = None, *, today: date | None = None
) -> dict[str, Any]:
    """The code of the table. The kitchen is open from 10 to 22 o'clock."""
    checks.ahead("date", checks.day("date", date), today)
    checks.open_at("time", checks.clock("time", time), _KITCHEN_OPENS, _KITCHEN_CLOSES)
    checks.whole("guests", guests, 1, 12)
    code = checks.made_up(10, 99, "table", date, time, guests, indoor)
    return {"confirmed": True, "code": f"T{code}"}


def set_air_conditioner(
    room: str, power: bool = True, temperature: float | None = None, mode: str | None = None
) -> dict[str, Any]:
    """What was set. To switch it off and to set it at once is refused; a fan alone has no target."""
    checks.name("room", room)
    if temperature is not None:
        checks.number("temperature", temperature, 16, 30, step=0.5)
    for argument, value in (("temperature", temperature), ("mode", mode)):
        if not power and value is not None:
            raise refusal(argument, value, "does not go with power false")
    return {"ok": True, "power": power, "target_c": None if mode == "fan" else temperature}


def add_to_shopping_list(items: list[str], list_name: str = "home") -> dict[str, Any]:
    """How many things were added, and to which list."""
    return {"ok": True, "added": len(checks.distinct("items", items)), "list": list_name}


def order_supplies(
    items: list[dict[str, Any]],
    deliver_to: dict[str, Any] | None = None,
    date: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The number of the order, and how many pieces it holds.

    Two lines of one thing add up, as in a basket, and together are 100 pieces at most.
    """
    if not isinstance(items, list) or not items:
        raise refusal("items", items, "is not a list of at least 1")
    ordered: dict[str, int] = {}
    for index, line in enumerate(items):
        held = checks.fields(f"items[{index}]", line, ("item", "quantity"))
        item = checks.name(f"items[{index}].item", held["item"])
        quantity = checks.whole(f"items[{index}].quantity", held["quantity"], 1, 100)
        ordered[item] = ordered.get(item, 0) + quantity
        if ordered[item] > 100:
            raise refusal(f"items[{index}].quantity", quantity, f"makes more than 100 of {item}")
    if deliver_to is not None:
        place = checks.fields("deliver_to", deliver_to, ("building", "floor"))
        checks.one_of("deliver_to.building", place["building"], ("A", "B", "C"))
        checks.whole("deliver_to.floor", place["floor"], 1, 20)
    if date is not None:
        checks.ahead("date", checks.day("date", date), today)
    number = checks.made_up(100, 999, "supplies", items, deliver_to, date)
    return {"status": "placed", "order_id": f"OS-{number}", "pieces": sum(ordered.values())}


def create_note(
    content: str, folder: str = "personal", pinned: bool | None = None
) -> dict[str, Any]:
    """The number of the note."""
    checks.text("content", content, longest=1000)
    return {"saved": True, "id": checks.made_up(1, 999, "note", content, folder, pinned)}


def request_leave(
    leave_type: str,
    start_date: str,
    days: float,
    cover: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The first and last day off: Saturdays and Sundays are free anyway and do not count."""
    checks.one_of("leave_type", leave_type, _LEAVES)
    start = checks.day("start_date", start_date)
    length = checks.number("days", days, 0.5, 30, step=0.5)
    if today is not None:
        grace = _REPORTED_AFTERWARDS.get(leave_type, 0)
        checks.ahead("start_date", start + timedelta(days=grace), today)
    if cover is not None:
        checks.name("cover", cover)
    off = _working_days(start, length)
    return {"status": "pending", "first_day": off[0], "last_day": off[-1]}


def _working_days(start: date, days: float) -> list[str]:
    """The days that are taken, the last of them perhaps by half."""
    found: list[str] = []
    day = start
    while len(found) < days:
        if day.weekday() < 5:
            found.append(day.isoformat())
        day += timedelta(days=1)
    return found


TOOLS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        get_weather,
        book_meeting_room,
        set_reminder,
        send_email,
        create_calendar_event,
        book_restaurant,
        set_air_conditioner,
        add_to_shopping_list,
        order_supplies,
        create_note,
        request_leave,
    )
}
