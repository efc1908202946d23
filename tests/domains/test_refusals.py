"""Each rule of the reference tools refuses what it is there for, and says which argument is wrong."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from fcray.domains import REFERENCES, Refused, execute

FRIDAY = date(2026, 3, 13)

GOOD: dict[str, dict[str, Any]] = {
    "get_stock_quote": {"company": "Johnson & Johnson"},
    "assess_risk_preference": {"age": 40, "horizon_years": 10, "loss_tolerance": "small"},
    "get_fund_quote": {"fund": "Ironwood Index", "fields": ["fee", "manager"], "days": 30},
    "get_exchange_rate": {"from_currency": "USD", "to_currency": "CNY", "amount": 88.8},
    "calculate_loan_payment": {"amount": 300000, "years": 20, "annual_rate": 3.45},
    "set_price_alert": {"company": "小米", "direction": "above", "price": 55.5},
    "query_transactions": {"start_date": "2025-01-01", "end_date": "2025-06-30"},
    "place_order": {"order": {"side": "buy", "company": "腾讯", "shares": 100}},
    "get_balance": {"accounts": ["checking", "fund"]},
    "freeze_card": {"card": "debit", "reason": "I can't find it", "until": "18:30"},
    "extract_symptoms": {"symptoms": ["fever", "dry eyes"]},
    "calculate_risk": {"age": 60, "heart_rate": 75},
    "book_appointment": {"department": "ent", "datetime": "2026-03-16T09:30", "doctor": "Dr. Lee"},
    "check_drug_interaction": {"drugs": ["aspirin", "维生素C"]},
    "calculate_bmi": {"height_cm": 175, "weight_kg": 70},
    "record_vital_signs": {"blood_pressure": {"systolic": 120, "diastolic": 80}},
    "set_medication_reminder": {"drug": "iron", "times": ["08:00", "20:00"]},
    "find_hospital": {"city": "Xi'an"},
    "schedule_vaccination": {"vaccine": "flu", "date": "2026-03-20", "time": "09:00"},
    "record_allergy": {"substance": "peanuts", "reaction": "hives"},
    "estimate_due_date": {"weeks": 12},
    "check_temperature": {"device_id": "pump-7"},
    "trigger_alarm": {"device_id": "server-12", "level": "high"},
    "set_target_temperature": {"device_id": "tank-3", "celsius": 60},
    "read_sensor": {"device_id": "meter-4", "quantity": "flow"},
    "schedule_maintenance": {"device_id": "fan-2", "date": "2026-03-14", "time": "22:00"},
    "stop_machine": {"device_id": "mill-8"},
    "get_energy_report": {"start_date": "2025-01-01", "end_date": "2025-12-31"},
    "acknowledge_alarm": {"alarm_id": 12, "note": "false alarm"},
    "configure_threshold": {"device_id": "bath-1", "limits": {"min": 2, "max": 8}},
    "switch_valves": {"valves": ["gate-1", "drain-2"], "open": True},
    "get_weather": {"city": "Hong Kong"},
    "book_meeting_room": {"day": "monday", "start_time": "10:00"},
    "set_reminder": {"text": "call mom", "time": "20:00"},
    "send_email": {"to": "j.smith@acme.com", "subject": "price quote"},
    "create_calendar_event": {"title": "fire drill", "start": "2026-03-16T10:00"},
    "book_restaurant": {"date": "2026-03-14", "time": "19:30", "guests": 4},
    "set_air_conditioner": {"room": "kids' room"},
    "add_to_shopping_list": {"items": ["milk", "eggs"]},
    "order_supplies": {"items": [{"item": "pens", "quantity": 20}]},
    "create_note": {"content": "the spare key is in the drawer"},
    "request_leave": {"leave_type": "annual", "start_date": "2026-03-16", "days": 2.5},
}

NO_SHARES = {"side": "buy", "company": "Sony", "shares": 0}
BAD: list[tuple[str, dict[str, Any], str]] = [
    # finance
    ("get_stock_quote", {"company": "  "}, 'company "  " says nothing'),
    ("get_stock_quote", {"company": "{company}"}, 'company "{company}" has a brace in it'),
    ("get_stock_quote", {"company": " Apple"}, 'company " Apple" has spaces around it'),
    (
        "get_stock_quote",
        {"company": "App\nle"},
        'company "App\\nle" has spaces around it or a char',
    ),
    ("get_stock_quote", {"company": "42?"}, 'company "42?" is no name'),
    ("assess_risk_preference", {"age": 17}, "age 17 is not a number from 18 to 80"),
    (
        "assess_risk_preference",
        {"loss_tolerance": "all"},
        'loss_tolerance "all" is none of none, s',
    ),
    ("get_fund_quote", {"fields": ["fee", "fee"]}, 'fields ["fee", "fee"] names fee twice'),
    ("get_fund_quote", {"fields": []}, "fields [] is not a list of at least 1"),
    ("get_fund_quote", {"days": 1.5}, "days 1.5 is not a whole number"),
    ("get_exchange_rate", {"to_currency": "USD"}, 'to_currency "USD" is the same as from_currency'),
    ("get_exchange_rate", {"to_currency": "DEM"}, 'to_currency "DEM" is none of USD'),
    ("get_exchange_rate", {"amount": 9.999}, "amount 9.999 has more than 2 decimals"),
    ("get_exchange_rate", {"amount": True}, "amount true is not a number"),
    ("calculate_loan_payment", {"amount": 20}, "amount 20 is not a number from 100"),
    ("calculate_loan_payment", {"annual_rate": float("nan")}, "annual_rate NaN is not a number"),
    (
        "calculate_loan_payment",
        {"first_payment": "2026-02-30"},
        'first_payment "2026-02-30" is no d',
    ),
    ("calculate_loan_payment", {"first_payment": "2026-03-12"}, "is before today, 2026-03-13"),
    ("calculate_loan_payment", {"first_payment": "2029-01-01"}, "more than two years after today"),
    ("set_price_alert", {"price": 10.005}, "price 10.005 has more than 2 decimals"),
    ("set_price_alert", {"expires": "2026-01-01"}, 'expires "2026-01-01" is before today'),
    (
        "query_transactions",
        {"end_date": "2024-12-31"},
        'end_date "2024-12-31" is before start_date',
    ),
    ("query_transactions", {"start_date": "2015-01-01", "end_date": "2026-01-01"}, "end_date"),
    ("query_transactions", {"min_amount": 0.001}, "min_amount 0.001 has more than 2 decimals"),
    (
        "query_transactions",
        {"start_date": "2026-04-01", "end_date": "2026-05-01"},
        'start_date "2026-04-01" is after today, 2026-03-13, so there is no record of it',
    ),
    ("place_order", {"order": NO_SHARES}, "order.shares 0 is not a number from 1 to 1000000"),
    ("place_order", {"order": {"side": "buy"}}, "does not hold exactly side, company, shares"),
    ("place_order", {"limit_price": 1.234}, "limit_price 1.234 has more than 2 decimals"),
    ("place_order", {"execute_at": "2026-03-12T10:00"}, 'execute_at "2026-03-12" is before today'),
    (
        "place_order",
        {"execute_at": "2026-03-16 10:00"},
        "is no moment of the form YYYY-MM-DDTHH:MM",
    ),
    ("get_balance", {"accounts": ["fund", "fund"]}, "names fund twice"),
    ("get_balance", {"accounts": ["secret"]}, 'accounts[0] "secret" is none of checking'),
    ("freeze_card", {"until": "29:30"}, 'until "29:30" is no time of the form HH:MM'),
    ("freeze_card", {"reason": ""}, 'reason "" says nothing'),
    # medical
    ("extract_symptoms", {"symptoms": []}, "symptoms [] is not a list of at least 1"),
    ("extract_symptoms", {"symptoms": ["fever", "Fever"]}, "names fever twice"),
    ("calculate_risk", {"age": 150}, "age 150 is not a number from 1 to 120"),
    ("calculate_risk", {"heart_rate": 600}, "heart_rate 600 is not a number from 25 to 250"),
    ("book_appointment", {"datetime": "2026-03-12T09:00"}, 'datetime "2026-03-12" is before today'),
    ("book_appointment", {"datetime": "2026-03-16T03:00"}, 'datetime "03:00" is outside the hours'),
    ("book_appointment", {"datetime": "2026-03-16"}, 'datetime "2026-03-16" is no moment'),
    ("book_appointment", {"doctor": "???"}, 'doctor "???" is no name'),
    ("check_drug_interaction", {"drugs": ["Iron", "iron"]}, "names Iron twice"),
    ("check_drug_interaction", {"drugs": ["iron"]}, 'drugs ["iron"] is not a list of at least 2'),
    ("calculate_bmi", {"height_cm": 70, "weight_kg": 175}, "weight_kg 175 does not go with height"),
    ("calculate_bmi", {"height_cm": 1.75}, "height_cm 1.75 is not a number from 50 to 250"),
    (
        "record_vital_signs",
        {"blood_pressure": {"systolic": 80, "diastolic": 120}},
        "blood_pressure.systolic 80 is not at least 10 above diastolic 120",
    ),
    ("record_vital_signs", {"temperature": 98.6}, "temperature 98.6 is not a number from 34 to 43"),
    ("record_vital_signs", {"pulse": 0}, "pulse 0 is not a number from 20 to 250"),
    ("set_medication_reminder", {"times": ["08:00", "08:00"]}, "names 08:00 twice"),
    ("set_medication_reminder", {"times": ["8am"]}, 'times[0] "8am" is no time of the form HH:MM'),
    (
        "set_medication_reminder",
        {"dose": {"amount": 1.5, "unit": "capsule"}},
        "dose.amount 1.5 is not a multiple of 1",
    ),
    (
        "set_medication_reminder",
        {"dose": {"amount": 500, "unit": "tablet"}},
        "dose.amount 500 is not a number from 0.25 to 10",
    ),
    ("find_hospital", {"city": "Area 51"}, 'city "Area 51" is no name'),
    ("schedule_vaccination", {"date": "2026-03-01"}, 'date "2026-03-01" is before today'),
    ("schedule_vaccination", {"time": "23:30"}, 'time "23:30" is outside the hours 07:00 to 21:00'),
    ("schedule_vaccination", {"dose_number": 0}, "dose_number 0 is not a number from 1 to 4"),
    ("record_allergy", {"reaction": "Peanuts"}, 'reaction "Peanuts" is the same as substance'),
    ("estimate_due_date", {"weeks": 60}, "weeks 60 is not a number from 1 to 42"),
    # iot
    ("check_temperature", {"device_id": "pump"}, 'device_id "pump" is no device id such as pump-7'),
    ("check_temperature", {"device_id": "pump-0"}, 'device_id "pump-0" is no device id'),
    ("trigger_alarm", {"device_id": "7-pump"}, 'device_id "7-pump" is no device id'),
    ("set_target_temperature", {"celsius": 21.37}, "celsius 21.37 has more than 1 decimals"),
    (
        "set_target_temperature",
        {"device_id": "freezer-3"},
        "celsius 60 is nothing that device_id freezer-3 can hold",
    ),
    ("read_sensor", {"device_id": "the meter"}, 'device_id "the meter" is no device id'),
    ("read_sensor", {"quantity": "mood"}, 'quantity "mood" is none of pressure'),
    ("schedule_maintenance", {"date": "2026-03-12"}, 'date "2026-03-12" is before today'),
    ("schedule_maintenance", {"date": "2026-13-01"}, 'date "2026-13-01" is no day'),
    ("schedule_maintenance", {"date": "0026-03-14"}, "is not in the years 1900 to 2199"),
    ("schedule_maintenance", {"time": "25:00"}, 'time "25:00" is no time'),
    ("schedule_maintenance", {"hours": 1.3}, "hours 1.3 is not a multiple of 0.5"),
    ("stop_machine", {"at": "2026-03-01T10:00"}, 'at "2026-03-01" is before today'),
    (
        "stop_machine",
        {"at": "2026-03-20T10:00", "emergency": True},
        'at "2026-03-20T10:00" does not go with emergency true',
    ),
    ("get_energy_report", {"end_date": "2024-06-30"}, 'end_date "2024-06-30" is before start_date'),
    ("get_energy_report", {"start_date": "2026-03-14", "end_date": "2026-04-01"}, "start_date"),
    ("acknowledge_alarm", {"alarm_id": 0}, "alarm_id 0 is not a number from 1 to 9999"),
    ("acknowledge_alarm", {"note": "x" * 300}, "xx… is longer than 200 characters"),
    (
        "configure_threshold",
        {"limits": {"min": 8, "max": 2}},
        "limits.min 8 is not below limits.max",
    ),
    (
        "configure_threshold",
        {"device_id": "freezer-3"},
        'limits {"min": 2, "max": 8} is nothing that device_id freezer-3 can hold',
    ),
    ("switch_valves", {"valves": ["gate-1", "gate-1"]}, "names gate-1 twice"),
    ("switch_valves", {"valves": ["gate one"]}, 'valves[0] "gate one" is no device id'),
    # office
    ("get_weather", {"city": "10001"}, 'city "10001" is no name'),
    ("book_meeting_room", {"start_time": "24:30"}, 'start_time "24:30" is no time'),
    ("book_meeting_room", {"start_time": "05:00"}, 'start_time "05:00" is outside the hours'),
    ("book_meeting_room", {"duration_minutes": -30}, "duration_minutes -30 is not a number"),
    (
        "book_meeting_room",
        {"start_time": "21:00", "duration_minutes": 90},
        "duration_minutes 90 is too long from start_time 21:00: the office closes at 22:00",
    ),
    ("set_reminder", {"time": "26:15"}, 'time "26:15" is no time of the form HH:MM'),
    ("set_reminder", {"text": "\t"}, 'text "\\t" says nothing'),
    ("send_email", {"to": "bob@acme"}, 'to "bob@acme" is no e-mail address'),
    ("send_email", {"to": "bob..x@acme.com"}, 'to "bob..x@acme.com" is no e-mail address'),
    ("send_email", {"to": "bob@-acme.com"}, 'to "bob@-acme.com" is no e-mail address'),
    ("send_email", {"to": "#1"}, 'to "#1" is no name'),
    ("create_calendar_event", {"attendees": ["Amy", "amy"]}, "names Amy twice"),
    ("create_calendar_event", {"start": "2026-03-12T10:00"}, 'start "2026-03-12" is before today'),
    ("book_restaurant", {"date": "2026-03-12"}, 'date "2026-03-12" is before today'),
    ("book_restaurant", {"date": "2025-02-29"}, 'date "2025-02-29" is no day'),
    ("book_restaurant", {"time": "03:00"}, 'time "03:00" is outside the hours 10:00 to 22:00'),
    ("book_restaurant", {"guests": 50}, "guests 50 is not a number from 1 to 12"),
    ("set_air_conditioner", {"temperature": 21.3}, "temperature 21.3 is not a multiple of 0.5"),
    (
        "set_air_conditioner",
        {"power": False, "temperature": 22},
        "temperature 22 does not go with power false",
    ),
    (
        "set_air_conditioner",
        {"power": False, "mode": "heat"},
        'mode "heat" does not go with power f',
    ),
    (
        "add_to_shopping_list",
        {"items": ["Milk", "milk"]},
        'items ["Milk", "milk"] names Milk twice',
    ),
    ("order_supplies", {"items": []}, "items [] is not a list of at least 1"),
    (
        "order_supplies",
        {"items": [{"item": "pens", "quantity": 60}, {"item": "pens", "quantity": 50}]},
        "items[1].quantity 50 makes more than 100 of pens",
    ),
    ("order_supplies", {"date": "2026-03-01"}, 'date "2026-03-01" is before today'),
    (
        "order_supplies",
        {"deliver_to": {"building": "A", "floor": 40}},
        "deliver_to.floor 40 is not a number from 1 to 20",
    ),
    ("create_note", {"content": "{content}"}, 'content "{content}" has a brace in it'),
    ("request_leave", {"days": 0.3}, "days 0.3 is not a number from 0.5 to 30"),
    ("request_leave", {"days": 1.25}, "days 1.25 is not a multiple of 0.5"),
    ("request_leave", {"start_date": "2026-03-09"}, "is before today, 2026-03-13"),
    ("request_leave", {"leave_type": "sick", "start_date": "2026-01-05"}, "is before today"),
    ("request_leave", {"cover": "<nobody>"}, 'cover "<nobody>" is no name'),
]


def test_every_reference_has_cases() -> None:
    assert set(GOOD) == set(REFERENCES)
    assert {tool for tool, _, _ in BAD} == set(REFERENCES)


@pytest.mark.parametrize("tool", GOOD)
def test_a_call_with_sense_is_accepted(tool: str) -> None:
    assert execute(tool, GOOD[tool], FRIDAY)
    assert execute(tool, GOOD[tool], None)


@pytest.mark.parametrize(("tool", "changes", "words"), BAD)
def test_a_call_without_sense_is_refused(tool: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as caught:
        execute(tool, {**GOOD[tool], **changes}, FRIDAY)
    message = str(caught.value)
    assert words in message
    assert message.endswith(".")
    assert message.startswith(tuple(changes) + tuple(GOOD[tool])), "no argument is named"


@pytest.mark.parametrize(
    ("tool", "changes"),
    [
        ("book_restaurant", {"date": "2020-01-01"}),
        ("get_energy_report", {"start_date": "2190-01-01", "end_date": "2190-02-01"}),
        ("request_leave", {"start_date": "2199-12-31"}),
    ],
)
def test_without_a_day_no_date_is_past_or_to_come(tool: str, changes: dict[str, Any]) -> None:
    assert execute(tool, {**GOOD[tool], **changes}, None)


def test_sick_leave_may_be_reported_afterwards() -> None:
    ill = {"leave_type": "sick", "start_date": "2026-03-09", "days": 2}
    assert execute("request_leave", ill, FRIDAY)["last_day"] == "2026-03-10"
