"""What reference tools compute, against values worked out by hand."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

import pytest

from fcray.domains import execute, finance

FRIDAY = date(2026, 3, 13)


def test_a_loan_in_equal_installments() -> None:
    # r = 12 % / 12 = 0.01, n = 12, 1.01^12 = 1.126825, 1 - 1 / 1.126825 = 0.1125508
    # 12000 * 0.01 / 0.1125508 = 1066.19 a month; 12 * 1066.1855 - 12000 = 794.23
    loan = {"amount": 12000, "years": 1, "annual_rate": 12}
    assert execute("calculate_loan_payment", loan, FRIDAY) == {
        "first_month": 1066.19,
        "last_month": 1066.19,
        "total_interest": 794.23,
    }


def test_a_loan_in_equal_principal() -> None:
    # 1000 a month, and 1 % of 12000 at first, of the last 1000 in the end: 1120, 1010
    # the rests are 12000, 11000, ... 1000, their sum is 78000, and 1 % of it 780
    loan = {"amount": 12000, "years": 1, "annual_rate": 12, "method": "equal_principal"}
    assert execute("calculate_loan_payment", loan, FRIDAY) == {
        "first_month": 1120,
        "last_month": 1010,
        "total_interest": 780,
    }


@pytest.mark.parametrize("method", ["equal_installments", "equal_principal"])
def test_a_loan_without_interest_ends_on_the_last_day_of_a_short_month(method: str) -> None:
    loan = {"amount": 12000, "years": 1, "annual_rate": 0, "method": method}
    assert execute("calculate_loan_payment", {**loan, "first_payment": "2026-03-31"}, FRIDAY) == {
        "first_month": 1000,
        "last_month": 1000,
        "total_interest": 0,
        "paid_off": "2027-02-28",  # the eleventh month after March 2026 has 28 days
    }


def test_an_exchange() -> None:
    # 7.18 yuan and 150 yen a dollar: 7.18 / 150 = 0.0478667; 10000 yen are 478.67 yuan
    exchange = {"from_currency": "JPY", "to_currency": "CNY", "amount": 10000}
    result = execute("get_exchange_rate", exchange, None)
    assert result == {"rate": pytest.approx(0.0478667, rel=1e-5), "converted": 478.67}


def test_exchanging_there_and_back_and_over_a_third_currency_agrees() -> None:
    rates = {
        (a, b): execute("get_exchange_rate", {"from_currency": a, "to_currency": b}, None)["rate"]
        for a, b in itertools.permutations(finance._UNITS_PER_DOLLAR, 2)
    }
    for (a, b), rate in rates.items():
        assert rate * rates[b, a] == pytest.approx(1, rel=1e-6)
    assert rates["GBP", "JPY"] * rates["JPY", "KRW"] == pytest.approx(rates["GBP", "KRW"], rel=1e-6)


@pytest.mark.parametrize(
    ("age", "years", "loss", "experienced", "level", "score"),
    [
        (30, 10, "medium", True, "C5", 90),  # 20 + 30 + 30 + 10
        (60, 3, "small", False, "C2", 29),  # 5 + 9 + 15
        (30, 30, "none", True, "C1", 60),  # 20 + 30 + 0 + 10, but accepts no loss
        (30, 30, "large", True, "C5", 100),
    ],
)
def test_a_risk_profile(
    age: int, years: int, loss: str, experienced: bool, level: str, score: int
) -> None:
    asked = {"age": age, "horizon_years": years, "loss_tolerance": loss, "experienced": experienced}
    result = execute("assess_risk_preference", asked, None)
    assert (result["level"], result["score"]) == (level, score)


def test_an_order_at_a_limit() -> None:
    # 100 * 36.5
    order = {"side": "sell", "company": "IBM", "shares": 100}
    asked = {"order": order, "limit_price": 36.5, "execute_at": "2026-03-14T20:00"}
    result = execute("place_order", asked, FRIDAY)
    assert (result["value"], result["status"]) == (3650, "scheduled")


def test_balances_add_up_whatever_their_order() -> None:
    both = execute("get_balance", {"accounts": ["fund", "savings"]}, None)
    assert both["total"] == round(both["balances"]["fund"] + both["balances"]["savings"], 2)
    every = execute("get_balance", {}, None)["balances"]
    assert every.items() >= both["balances"].items()
    pending = execute("get_balance", {"accounts": ["fund"], "include_pending": True}, None)
    assert pending["total"] >= every["fund"]


def test_transactions_are_above_their_least_amount() -> None:
    asked: dict[str, Any] = {"start_date": "2025-01-01", "end_date": "2025-01-31"}
    result = execute("query_transactions", {**asked, "min_amount": 500}, FRIDAY)
    assert result["days"] == 31
    assert result["total"] >= 500 * result["count"]


def test_a_card_is_frozen_for_today_or_after_a_second_yes() -> None:
    result = execute("freeze_card", {"card": "debit", "until": "18:30"}, FRIDAY)
    assert (result["status"], result["until"]) == ("frozen", "2026-03-13T18:30")
    assert execute("freeze_card", {"card": "debit", "until": "18:30"}, None)["until"] == "18:30"
    asked = {"card": "debit", "confirm": True}
    assert execute("freeze_card", asked, None)["status"] == "to_be_confirmed"


@pytest.mark.parametrize(
    ("height", "weight", "bmi", "category"),
    [
        (170, 65, 22.5, "normal"),  # 65 / 1.7² = 65 / 2.89 = 22.49
        (180, 55, 17.0, "underweight"),  # 55 / 3.24 = 16.98
        (160, 70, 27.3, "overweight"),  # 70 / 2.56 = 27.34
        (180, 100, 30.9, "obese"),  # 100 / 3.24 = 30.86
    ],
)
def test_a_body_mass_index(height: float, weight: float, bmi: float, category: str) -> None:
    asked = {"height_cm": height, "weight_kg": weight}
    assert execute("calculate_bmi", asked, None) == {"bmi": bmi, "category": category}
    assert execute("calculate_bmi", {**asked, "age": 10}, None) == {"bmi": bmi, "category": None}


@pytest.mark.parametrize(
    ("heart_rate", "risk", "score"),
    # 208 - 0.7 * 40 = 180; 72 / 180, 90 / 180, 126 / 180
    [(72, "low", 0.4), (90, "medium", 0.5), (126, "high", 0.7)],
)
def test_a_share_of_the_highest_heart_rate(heart_rate: int, risk: str, score: float) -> None:
    result = execute("calculate_risk", {"age": 40, "heart_rate": heart_rate}, None)
    assert result == {"risk": risk, "score": score}


def test_a_mean_arterial_pressure() -> None:
    # 80 + (120 - 80) / 3
    asked = {"blood_pressure": {"systolic": 120, "diastolic": 80}}
    assert execute("record_vital_signs", asked, None)["mean_arterial_pressure"] == 93.3


def test_a_due_date() -> None:
    # 20 weeks are 140 days: 13 in March, 28, 31, 31, 30 for February to November, and 7 of October
    # by Naegele's other wording: October 24 + 7 days - 3 months is July 31 of the next year
    assert execute("estimate_due_date", {"weeks": 20}, FRIDAY) == {
        "days_left": 140,
        "twins": False,
        "last_period": "2025-10-24",
        "due_date": "2026-07-31",
    }
    overdue = execute("estimate_due_date", {"weeks": 41, "twins": True}, None)
    assert overdue == {"days_left": -7, "twins": True}


def test_a_daily_dose_and_pairs_of_drugs() -> None:
    dose = {"amount": 0.5, "unit": "tablet"}
    asked = {"drug": "iron", "times": ["07:00", "13:00", "19:00"], "dose": dose}
    result = execute("set_medication_reminder", asked, None)
    assert result["a_day"] == {"amount": 1.5, "unit": "tablet"}
    asked["dose"] = {"amount": 0.05, "unit": "mg"}
    assert execute("set_medication_reminder", asked, None)["a_day"]["amount"] == 0.15
    pairs = execute("check_drug_interaction", {"drugs": ["a", "b", "c", "d"]}, None)
    assert pairs["pairs_to_check"] == 6


@pytest.mark.parametrize(
    ("group_by", "rows"),
    # 2025 began and ended on a Wednesday, so that it touches 53 weeks
    [("day", 365), ("hour", 8760), ("shift", 1095), ("week", 53), ("month", 12)],
)
def test_rows_of_an_energy_report(group_by: str, rows: int) -> None:
    asked = {"start_date": "2025-01-01", "end_date": "2025-12-31", "group_by": group_by}
    assert execute("get_energy_report", asked, FRIDAY)["rows"] == rows


def test_an_energy_report_that_is_not_over_ends_today() -> None:
    asked = {"start_date": "2026-03-01", "end_date": "2026-12-31"}
    result = execute("get_energy_report", asked, FRIDAY)
    assert (result["until"], result["rows"]) == ("2026-03-13", 13)


def test_maintenance_may_last_into_the_next_day() -> None:
    asked = {"device_id": "fan-2", "date": "2026-02-28", "time": "22:30", "hours": 2.5}
    assert execute("schedule_maintenance", asked, None)["until"] == "2026-03-01T01:00"


@pytest.mark.parametrize(
    ("day", "meant"),
    [
        ("today", "2026-03-13"),
        ("tomorrow", "2026-03-14"),
        ("monday", "2026-03-16"),
        ("thursday", "2026-03-19"),
        ("friday", "2026-03-20"),  # today has a word of its own
    ],
)
def test_the_day_of_a_meeting(day: str, meant: str) -> None:
    asked = {"day": day, "start_time": "20:00", "duration_minutes": 120}
    result = execute("book_meeting_room", asked, FRIDAY)
    assert (result["date"], result["until"]) == (meant, "22:00")


@pytest.mark.parametrize(
    ("start", "days", "first", "last"),
    [
        ("2026-03-13", 2.5, "2026-03-13", "2026-03-17"),  # Friday, Monday, half of Tuesday
        ("2026-03-14", 1, "2026-03-16", "2026-03-16"),  # a Saturday is free anyway
        ("2026-03-16", 0.5, "2026-03-16", "2026-03-16"),
        ("2026-03-16", 10, "2026-03-16", "2026-03-27"),  # two weeks
    ],
)
def test_days_of_leave(start: str, days: float, first: str, last: str) -> None:
    asked = {"leave_type": "annual", "start_date": start, "days": days}
    result = execute("request_leave", asked, FRIDAY)
    assert (result["first_day"], result["last_day"]) == (first, last)


def test_what_is_counted() -> None:
    lines = [{"item": "tape", "quantity": 5}, {"item": "tape", "quantity": 8}]
    assert execute("order_supplies", {"items": lines}, None)["pieces"] == 13
    assert execute("add_to_shopping_list", {"items": ["milk", "rice"]}, None)["added"] == 2
    event = {"title": "fire drill", "start": "2026-03-16T10:00", "attendees": ["Amy", "小林"]}
    assert execute("create_calendar_event", event, FRIDAY)["invited"] == 2
    assert execute("switch_valves", {"valves": ["gate-1"], "open": False}, None)["valves"] == 1


def test_a_fan_has_no_target() -> None:
    asked = {"room": "study", "temperature": 22}
    assert execute("set_air_conditioner", {**asked, "mode": "fan"}, None)["target_c"] is None
    assert execute("set_air_conditioner", {**asked, "mode": "cool"}, None)["target_c"] == 22
