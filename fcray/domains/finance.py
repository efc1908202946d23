"""Reference tools of the domain finance.

Loans, exchange and the risk profile are computed. Prices and balances are made up from the arguments:
nothing here knows a market or an account. `screen_funds` has no reference, since its schema says all
that there is to say. Every function raises Refused.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from fcray.domains import checks
from fcray.domains.refused import refusal

_UNITS_PER_DOLLAR: Mapping[str, float] = {
    "USD": 1,
    "CNY": 7.18,
    "HKD": 7.82,
    "JPY": 150,
    "KRW": 1380,
    "SGD": 1.34,
    "THB": 33.5,
    "MYR": 4.4,
    "INR": 86,
    "CHF": 0.88,
    "MXN": 18.5,
    "EUR": 0.92,
    "GBP": 0.78,
    "AUD": 1.53,
    "CAD": 1.37,
    "NZD": 1.68,
    "SEK": 10.4,
    "NOK": 10.8,
}
"""Fixed figures of the right size, not a market's. One column, so that all cross rates agree."""

_FUND_FIELDS: Mapping[str, tuple[int, int, int]] = {
    "net_value": (500, 4000, 1000),
    "daily_change": (-30, 30, 10),
    "annual_return": (-80, 180, 10),
    "fee": (2, 20, 10),
    "size": (10, 9000, 10),
    "rating": (1, 5, 1),
    "dividend": (0, 60, 100),
}
"""Field → lowest, highest, divisor of what is made up for it."""

_LOSS_POINTS: Mapping[str, int] = {"none": 0, "small": 15, "medium": 30, "large": 40}
_PROFILES = ("cautious", "conservative", "balanced", "growth", "aggressive")
_ACCOUNTS = (
    *("checking", "savings", "brokerage", "fund", "pension", "business"),
    "foreign_currency",
)


def get_stock_quote(company: str) -> dict[str, Any]:
    """A made-up price of one share."""
    checks.name("company", company)
    return {
        "price": checks.made_up(500, 50_000, "price", company) / 100,
        "change_percent": checks.made_up(-50, 50, "change", company) / 10,
    }


def assess_risk_preference(
    age: int, horizon_years: int, loss_tolerance: str, experienced: bool = False
) -> dict[str, Any]:
    """The investor's level from C1 (lowest) to C5 and the points behind it, of 100.

    Younger, longer, more tolerant and more experienced never lowers it; who accepts no loss is C1. The
    five levels are those of the Securities Association of China (Guideline on Investor Suitability,
    2017), which leaves the questions to the firm: the points are this project's own.
    """
    checks.whole("age", age, 18, 80)
    checks.whole("horizon_years", horizon_years, 1, 30)
    points = _LOSS_POINTS[checks.one_of("loss_tolerance", loss_tolerance, _LOSS_POINTS)]
    points += 3 * min(int(horizon_years), 10)
    points += min(max(70 - int(age), 0), 40) // 2
    points += 10 if experienced else 0
    level = 1 if loss_tolerance == "none" else min(points // 20, 4) + 1
    return {"level": f"C{level}", "type": _PROFILES[level - 1], "score": points}


def get_fund_quote(
    fund: str, fields: list[str] | None = None, days: int | None = None
) -> dict[str, Any]:
    """Made-up data of a fund; of `days` days where they are asked for."""
    checks.name("fund", fund)
    wanted = ["net_value", "daily_change"] if fields is None else checks.distinct("fields", fields)
    quote: dict[str, Any] = {}
    for index, field in enumerate(wanted):
        checks.one_of(f"fields[{index}]", field, (*_FUND_FIELDS, "manager"))
        if field == "manager":
            quote[field] = f"Manager {checks.made_up(1, 20, field, fund)}"
        else:
            low, high, divisor = _FUND_FIELDS[field]
            quote[field] = checks.made_up(low, high, field, fund) / divisor
    return quote | ({} if days is None else {"days": checks.whole("days", days, 1, 60)})


def get_exchange_rate(
    from_currency: str, to_currency: str, amount: float | None = None
) -> dict[str, Any]:
    """How many units one unit buys, and what `amount` comes to.

    Rates cross over the dollar: from A to B is (B per dollar) / (A per dollar), so that there and back
    is 1.
    """
    checks.one_of("from_currency", from_currency, _UNITS_PER_DOLLAR)
    checks.one_of("to_currency", to_currency, _UNITS_PER_DOLLAR)
    if from_currency == to_currency:
        raise refusal("to_currency", to_currency, "is the same as from_currency")
    rate = _UNITS_PER_DOLLAR[to_currency] / _UNITS_PER_DOLLAR[from_currency]
    # Significant digits and not decimals: a won is worth 0.0005652 pounds.
    quoted = float(f"{rate:.8g}")
    if amount is None:
        return {"rate": quoted}
    return {"rate": quoted, "converted": round(checks.money("amount", amount) * rate, 2)}


def calculate_loan_payment(
    amount: float,
    years: int,
    annual_rate: float,
    method: str = "equal_installments",
    first_payment: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The first and last monthly payment and all interest of a loan.

    Equal installments by the annuity formula A = P r / (1 - (1 + r)^-n), with r the rate of a month
    and n months; equal principal pays P / n every month and r on what is left, so that the interest
    adds up to P r (n + 1) / 2. Both as in any text on annuities, for instance S. G. Kellison, The
    Theory of Interest (annuities, amortization schedules). Without interest both are P / n.
    """
    owed = checks.money("amount", amount, low=100)
    months = 12 * checks.whole("years", years, 1, 30)
    rate = checks.number("annual_rate", annual_rate, 0, 24, decimals=4) / 100 / 12
    checks.one_of("method", method, ("equal_installments", "equal_principal"))
    if method == "equal_principal":
        first, last = owed / months + owed * rate, owed / months * (1 + rate)
        interest = owed * rate * (months + 1) / 2
    else:
        first = owed * rate / (1 - (1 + rate) ** -months) if rate else owed / months
        last, interest = first, first * months - owed
    result: dict[str, Any] = {
        "first_month": round(first, 2),
        "last_month": round(last, 2),
        "total_interest": round(interest, 2),
    }
    if first_payment is not None:
        begin = checks.day("first_payment", first_payment)
        checks.ahead("first_payment", begin, today)
        result["paid_off"] = _months_later(begin, months - 1).isoformat()
    return result


def _months_later(start: date, months: int) -> date:
    """The same day of a later month, or its last one where there is none."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(start.day, last))


def set_price_alert(
    company: str,
    direction: str,
    price: float,
    expires: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The number of the alert."""
    checks.name("company", company)
    checks.money("price", price, 100_000)
    if expires is not None:
        checks.ahead("expires", checks.day("expires", expires), today)
    alert = checks.made_up(100, 999, "alert", company, direction, price)
    return {"alert_id": alert, "active": True, "expires": expires}


def query_transactions(
    start_date: str,
    end_date: str,
    category: str | None = None,
    min_amount: float = 0,
    merchant: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """How many made-up transactions there were, and their sum."""
    first, last = checks.period(start_date, end_date, today)
    least = checks.money("min_amount", min_amount, 10_000_000, low=0)
    if merchant is not None:
        checks.name("merchant", merchant)
    seed = (str(first), str(last), category, least, merchant)
    count = checks.made_up(0, 9, "transactions", *seed)
    above = sum(checks.made_up(1, 50_000, index, *seed) for index in range(count)) / 100
    days = (last - first).days + 1
    return {"count": count, "total": round(count * least + above, 2), "days": days}


def place_order(
    order: dict[str, Any],
    limit_price: float | None = None,
    execute_at: str | None = None,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """The order's number, and what it comes to at its limit.

    It may be set for a night or a Sunday: it then waits until its exchange opens, as it would at a broker.
    """
    held = checks.fields("order", order, ("side", "company", "shares"))
    checks.one_of("order.side", held["side"], ("buy", "sell"))
    checks.name("order.company", held["company"])
    shares = checks.whole("order.shares", held["shares"], 1, 1_000_000)
    result: dict[str, Any] = {"status": "accepted"}
    if limit_price is not None:
        result["value"] = round(shares * checks.money("limit_price", limit_price, 1_000_000), 2)
    if execute_at is not None:
        checks.ahead("execute_at", checks.moment("execute_at", execute_at).date(), today)
        result["status"] = "scheduled"
    return {"order_id": f"A{checks.made_up(1000, 9999, order, limit_price, execute_at)}", **result}


def get_balance(accounts: list[str] | None = None, include_pending: bool = False) -> dict[str, Any]:
    """Made-up balances of the accounts, of all kinds where none is named, and their sum."""
    wanted = list(_ACCOUNTS) if accounts is None else checks.distinct("accounts", accounts)
    balances: dict[str, float] = {}
    for index, account in enumerate(wanted):
        checks.one_of(f"accounts[{index}]", account, _ACCOUNTS)
        cents = checks.made_up(0, 5_000_000, "balance", account)
        cents += checks.made_up(0, 100_000, "pending", account) if include_pending else 0
        balances[account] = cents / 100
    return {"balances": balances, "total": round(sum(balances.values()), 2)}


def freeze_card(
    card: str,
    reason: str | None = None,
    until: str | None = None,
    confirm: bool = False,
    *,
    today: date | None = None,
) -> dict[str, Any]:
    """Whether the card is frozen or waits for a second yes, and until when."""
    if reason is not None:
        checks.text("reason", reason)
    result: dict[str, Any] = {"status": "to_be_confirmed" if confirm else "frozen"}
    if until is not None:
        end = checks.clock("until", until)
        result["until"] = f"{end:%H:%M}" if today is None else f"{today}T{end:%H:%M}"
    return {**result, "ref": f"K{checks.made_up(1000, 9999, 'freeze', card)}"}


TOOLS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        get_stock_quote,
        assess_risk_preference,
        get_fund_quote,
        get_exchange_rate,
        calculate_loan_payment,
        set_price_alert,
        query_transactions,
        place_order,
        get_balance,
        freeze_card,
    )
}
