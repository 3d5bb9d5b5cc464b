"""Numbers as people read them: one format per kind of number, everywhere in the report."""

from __future__ import annotations

import math

NONE = "—"
MINUS = "−"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a metric with a fixed number of decimals and a real minus sign.

    Example:
        >>> decimal(-0.21914), decimal(1234.5, 1), decimal(None)
        ('−0.219', '1,234.5', '—')
    """
    if value is None or math.isnan(value):
        return NONE
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign always shown.

    Example:
        >>> signed(0.5), signed(-0.5), signed(0.0)
        ('+0.500', '−0.500', '0.000')
    """
    text = decimal(value, digits)
    plain = text == NONE or text.startswith(MINUS) or float(text.replace(",", "")) == 0
    return text if plain else f"+{text}"


def count(value: float | None) -> str:
    """Return a whole number with thousands separators.

    Example:
        >>> count(73728), count(None)
        ('73,728', '—')
    """
    return decimal(value, 0)


def magnitude(value: int) -> str:
    """Return a large count in thousands, millions or billions.

    Example:
        >>> magnitude(512), magnitude(22_786_944), magnitude(1_500_000_000)
        ('512', '22.8 M', '1.5 B')
    """
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return count(value)


def share(value: float | None) -> str:
    """Return a share between 0 and 1 in per cent.

    Example:
        >>> share(0.003236), share(0.625), share(1.0)
        ('0.32 %', '62.5 %', '100 %')
    """
    if value is None or math.isnan(value):
        return NONE
    percent = 100 * value
    if percent in (0, 100):
        return f"{percent:.0f} %"
    return f"{percent:.{2 if abs(percent) < 10 else 1}f} %"


def p_value(value: float | None) -> str:
    """Return a p-value; below 0.001 only that it is below.

    Example:
        >>> p_value(0.0004), p_value(0.0312)
        ('< 0.001', '0.031')
    """
    return "< 0.001" if value is not None and value < 0.001 else decimal(value)


def interval(low: float | None, high: float | None, digits: int = 3, sign: bool = False) -> str:
    """Return both ends of an interval, or a dash if either is missing.

    Example:
        >>> interval(-0.3, 0.1), interval(0.1, 0.2, sign=True), interval(None, 1.0)
        ('−0.300 to 0.100', '+0.100 to +0.200', '—')
    """
    if low is None or high is None:
        return NONE
    show = signed if sign else decimal
    return f"{show(low, digits)} to {show(high, digits)}"


def rate(value: float | None) -> str:
    """Return a learning rate or another very small number in two significant digits.

    Example:
        >>> rate(2e-05), rate(0.0), rate(0.01)
        ('2e−5', '0', '0.01')
    """
    if value is None or math.isnan(value):
        return NONE
    if value == 0:
        return "0"
    return _tidy(f"{value:.1e}" if abs(value) < 0.001 else f"{value:.2g}")


def setting(value: float) -> str:
    """Return a setting with all its digits that matter: two that differ never look alike.

    Example:
        >>> setting(2e-05), setting(0.9), setting(0.98765)
        ('2e−5', '0.9', '0.98765')
    """
    return _tidy(f"{value:.9g}")


def _tidy(text: str) -> str:
    mantissa, marker, exponent = text.partition("e")
    if marker:
        text = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return text.replace("-", MINUS)


def duration(seconds: float | None) -> str:
    """Return a time span in the two largest units that matter.

    Example:
        >>> duration(0.42), duration(41.2), duration(192), duration(3840)
        ('0.42 s', '41 s', '3 min 12 s', '1 h 04 min')
    """
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(value: int | None) -> str:
    """Return a number of bytes in decimal units.

    Example:
        >>> size(284_000), size(90_900_000), size(3_200_000_000)
        ('0.28 MB', '90.9 MB', '3.20 GB')
    """
    if value is None:
        return NONE
    if value < 10_000:
        return f"{count(value)} B"
    if value < 1_000_000_000:
        return f"{value / 1e6:.{2 if value < 10_000_000 else 1}f} MB"
    return f"{value / 1e9:.2f} GB"


def energy(joules: float | None) -> str:
    """Return an energy in kilojoules and watt-hours, or that the machine does not tell.

    Example:
        >>> energy(7200.0), energy(None)
        ('7.2 kJ (2.0 Wh)', 'not known on this machine')
    """
    if joules is None:
        return "not known on this machine"
    return f"{joules / 1000:,.1f} kJ ({joules / 3600:,.1f} Wh)"


def plural(number: int, singular: str, several: str = "") -> str:
    """Return the number with its noun.

    Example:
        >>> plural(1, "row"), plural(1200, "row"), plural(2, "is", "are")
        ('1 row', '1,200 rows', '2 are')
    """
    noun = singular if number == 1 else (several or f"{singular}s")
    return f"{count(number)} {noun}"


def listed(names: list[str]) -> str:
    """Return names as a list in a sentence.

    Example:
        >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
        ('a', 'a and b', 'a, b and c')
    """
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
