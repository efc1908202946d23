"""Reference tools of the domain medical.

They do arithmetic and check that entries are possible; none of them diagnoses or advises, and no
result is to be used for treatment. Whether drugs interact is not known here. Every function raises
Refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from typing import Any

from fcray.domains import checks
from fcray.domains.refused import refusal

_DOSES: Mapping[str, tuple[float, float, float | None]] = {
    "tablet": (0.25, 10, 0.25),
    "capsule": (1, 10, 1),
    "sachet": (1, 10, 1),
    "ml": (0.01, 200, None),
    "mg": (0.001, 10_000, None),
}
"""Unit → the least and the most that is taken at a time, and into what it can be divided."""

_DAYS_OF_PREGNANCY = 280
_OPENS, _CLOSES = time(7), time(21)


def extract_symptoms(symptoms: list[str]) -> dict[str, Any]:
    """The number of the record. A record without a symptom, or with one twice, is refused."""
    found = checks.distinct("symptoms", symptoms)
    record = checks.made_up(1000, 9999, "symptoms", sorted(found))
    return {"saved": True, "record_id": record, "symptoms": len(found)}


def calculate_risk(age: int, heart_rate: int) -> dict[str, Any]:
    """The heart rate as a share of the highest one at this age, and its band.

    The highest rate is 208 - 0.7 age (Tanaka, Monahan and Seals, Age-predicted maximal heart rate
    revisited, JACC 2001). The bands end at 50 and 70 percent of it, where the American Heart
    Association lets moderate and vigorous exercise begin. This is an index of this project: no clinical
    score is known that takes these two alone.
    """
    highest = 208 - 0.7 * checks.whole("age", age, 1, 120)
    share = checks.whole("heart_rate", heart_rate, 25, 250) / highest
    band = "low" if share < 0.5 else "medium" if share < 0.7 else "high"
    return {"risk": band, "score": round(share, 2)}


def book_appointment(
    department: str,
    datetime: str,
    doctor: str | None = None,
    reason: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The number in the queue. Doctors see patients from 7 to 21 o'clock."""
    when = checks.moment("datetime", datetime)
    checks.open_at("datetime", when.time(), _OPENS, _CLOSES)
    checks.ahead("datetime", when.date(), today)
    if doctor is not None:
        checks.name("doctor", doctor)
    if reason is not None:
        checks.text("reason", reason)
    return {"ok": True, "number": checks.made_up(1, 60, "queue", department, datetime, doctor)}


def check_drug_interaction(drugs: list[str], patient: str | None = None) -> dict[str, Any]:
    """How many pairs there are to look up: n (n - 1) / 2. Says nothing of the drugs themselves."""
    count = len(checks.distinct("drugs", drugs, checks.name, least=2))
    return {"pairs_to_check": count * (count - 1) // 2, "patient": patient}


def calculate_bmi(
    height_cm: float, weight_kg: float, sex: str | None = None, age: int | None = None
) -> dict[str, Any]:
    """Weight by the square of the height, in kg/m², and its class for adults.

    Classes of the World Health Organization (Technical Report Series 894, 2000): below 18.5, 25, 30.
    They hold for both sexes from 18 years on; children are compared with growth charts instead, which
    are not known here, so they get no class. What no one weighs at such a height is refused: the two
    were likely swapped.
    """
    height = checks.number("height_cm", height_cm, 50, 250) / 100
    weight = checks.number("weight_kg", weight_kg, 2, 400)
    bmi = weight / height**2
    if not 7 <= bmi <= 110:
        raise refusal("weight_kg", weight_kg, f"does not go with height_cm {height_cm}")
    classes = ((18.5, "underweight"), (25, "normal"), (30, "overweight"))
    found = next((label for end, label in classes if bmi < end), "obese")
    adult = age is None or checks.whole("age", age, 1, 120) >= 18
    return {"bmi": round(bmi, 1), "category": found if adult else None}


def record_vital_signs(
    blood_pressure: dict[str, int], temperature: float | None = None, pulse: int | None = None
) -> dict[str, Any]:
    """The number of the record, with the mean arterial pressure in mmHg.

    It is estimated as diastolic + (systolic - diastolic) / 3 (DeMers and Wachs, Physiology, Mean
    Arterial Pressure, StatPearls). The heart fills between two beats, so that the systolic pressure is
    the higher one, and not by a few mmHg only.
    """
    held = checks.fields("blood_pressure", blood_pressure, ("systolic", "diastolic"))
    systolic = checks.whole("blood_pressure.systolic", held["systolic"], 60, 260)
    diastolic = checks.whole("blood_pressure.diastolic", held["diastolic"], 30, 160)
    if systolic - diastolic < 10:
        reason = f"is not at least 10 above diastolic {diastolic}"
        raise refusal("blood_pressure.systolic", systolic, reason)
    if temperature is not None:
        checks.number("temperature", temperature, 34, 43, decimals=2)
    if pulse is not None:
        checks.whole("pulse", pulse, 20, 250)
    record = checks.made_up(100, 999, "vital signs", systolic, diastolic, temperature, pulse)
    mean = diastolic + (systolic - diastolic) / 3
    return {"saved": True, "record_id": record, "mean_arterial_pressure": round(mean, 1)}


def set_medication_reminder(
    drug: str, times: list[str], dose: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The number of the reminder, and how much is taken in a day.

    Tablets can be quartered; capsules and sachets cannot be divided.
    """
    checks.name("drug", drug)
    for index, one in enumerate(checks.distinct("times", times)):
        checks.clock(f"times[{index}]", one)
    result: dict[str, Any] = {
        "ok": True,
        "reminder_id": f"R{checks.made_up(10, 99, drug, sorted(times))}",
    }
    if dose is not None:
        held = checks.fields("dose", dose, ("amount", "unit"))
        least, most, part = _DOSES[checks.one_of("dose.unit", held["unit"], _DOSES)]
        amount = checks.number("dose.amount", held["amount"], least, most, step=part)
        result["a_day"] = {"amount": round(amount * len(times), 3), "unit": held["unit"]}
    return result


def find_hospital(
    city: str, type: str | None = None, emergency: bool | None = None
) -> dict[str, Any]:
    """How many made-up hospitals there are, and how far the nearest one is."""
    checks.name("city", city, digits=False)
    seed = (city, type, emergency)
    return {
        "count": checks.made_up(1, 9, "hospitals", *seed),
        "nearest_km": checks.made_up(3, 150, "distance", *seed) / 10,
    }


def schedule_vaccination(
    vaccine: str,
    date: str,
    time: str | None = None,
    dose_number: int = 1,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The code to show on arrival. Whether a series has so many doses is left to the clinic."""
    checks.ahead("date", checks.day("date", date), today)
    if time is not None:
        checks.open_at("time", checks.clock("time", time), _OPENS, _CLOSES)
    checks.whole("dose_number", dose_number, 1, 4)
    return {"ok": True, "code": f"V{checks.made_up(100, 999, vaccine, date, time, dose_number)}"}


def record_allergy(
    substance: str, reaction: str | None = None, severity: str | None = None
) -> dict[str, Any]:
    """Whether it was saved, and whether a card to carry along was made."""
    checks.name("substance", substance)
    if (
        reaction is not None
        and checks.text("reaction", reaction).casefold() == substance.casefold()
    ):
        raise refusal("reaction", reaction, "is the same as substance")
    return {"saved": True, "warning_card": severity in ("severe", "life_threatening")}


def estimate_due_date(
    weeks: int, twins: bool = False, *, today: date | None = None
) -> dict[str, Any]:
    """The day on which a pregnancy of `weeks` weeks today is 40 weeks old.

    Naegele's rule: 280 days after the first day of the last period, which was `weeks` weeks ago (ACOG
    Committee Opinion 700, Methods for Estimating the Due Date, 2017). Its correction for cycles of
    other than 28 days needs their length, which this tool is not told. Twins come earlier as a rule,
    but are dated alike.
    """
    begun = 7 * checks.whole("weeks", weeks, 1, 42)
    left = _DAYS_OF_PREGNANCY - begun
    result: dict[str, Any] = {"days_left": left, "twins": twins}
    if today is not None:
        result["last_period"] = (today - timedelta(days=begun)).isoformat()
        result["due_date"] = (today + timedelta(days=left)).isoformat()
    return result


TOOLS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        extract_symptoms,
        calculate_risk,
        book_appointment,
        check_drug_interaction,
        calculate_bmi,
        record_vital_signs,
        set_medication_reminder,
        find_hospital,
        schedule_vaccination,
        record_allergy,
        estimate_due_date,
    )
}
