"""What a node of an MXNet graph says about itself: text such as `(3, 3)` and `True`, read strictly."""

import re

from app.importers.mxnet.errors import CheckpointError

__all__ = ["Attributes"]

#: No kernel, stride, padding or number of filters of a net comes near it.
MOST = 1 << 16
#: Characters of such a tuple; what is longer is not even searched.
LONGEST = 200
NUMBERS = re.compile(r"[(\[]?\s*(-?\d{1,9}L?(\s*,\s*-?\d{1,9}L?)*)?\s*,?\s*[)\]]?")
TRUTH = {"true": True, "1": True, "false": False, "0": False}


class Attributes:
    """The attributes of one node; `owner` says in errors whose they are."""

    def __init__(self, owner: str, values: dict[str, str]) -> None:
        self._owner = owner
        self._values = values

    def text(self, name: str, default: str) -> str:
        """Return an attribute as it stands."""
        return self._values.get(name, default)

    def flag(self, name: str, default: bool) -> bool:
        """Return True or False."""
        value = self._values.get(name)
        if value is None:
            return default
        if value.strip().lower() not in TRUTH:
            raise self.wrong(name, "True or False")
        return TRUTH[value.strip().lower()]

    def numbers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return a tuple of whole numbers, also where a single one or a list is given."""
        value = self._values.get(name)
        if value is None or value == "None":
            return default
        if len(value) > LONGEST or not NUMBERS.fullmatch(value.strip()):
            raise self.wrong(name, "whole numbers")
        found = tuple(int(number) for number in re.findall(r"-?\d+", value))
        if any(abs(number) > MOST for number in found):
            raise self.wrong(name, f"numbers up to {MOST}")
        return found

    def number(self, name: str, default: int | None = None, *, least: int = 0) -> int:
        """Return one whole number of at least `least`; an error where there is none and no `default`."""
        found = self.numbers(name, () if default is None else (default,))
        if len(found) != 1 or found[0] < least:
            raise self.wrong(name, f"one whole number from {least}")
        return found[0]

    def pair(self, name: str, default: tuple[int, int] | None = None, *, least: int = 0) -> tuple[int, int]:
        """Return height and width, each at least `least`; an error where there are none and no `default`."""
        found = self.numbers(name) or default or ()
        if len(found) != 2 or min(found) < least:
            raise self.wrong(name, f"two whole numbers from {least}")
        return found[0], found[1]

    def real(self, name: str, default: float | None = None) -> float:
        """Return one number; an error where there is none and no `default`."""
        value = self._values.get(name, default)
        try:
            found = float("none" if value is None else value)
        except ValueError:
            raise self.wrong(name, "a number") from None
        if not abs(found) < 1e30:
            raise self.wrong(name, "a number")
        return found

    def reals(self, name: str) -> tuple[float, ...]:
        """Return a tuple of at least one number."""
        words = self._values.get(name, "").strip("()[] ").split(",")
        try:
            found = tuple(float(word) for word in words if word.strip())
        except ValueError:
            found = ()
        if not found or not all(abs(number) < 1e30 for number in found):
            raise self.wrong(name, "numbers")
        return found

    def only(self, name: str, *allowed: str) -> str:
        """Return an attribute that must be one of `allowed`, of which the first is the default."""
        value = self._values.get(name, allowed[0])
        if value not in allowed:
            raise self.wrong(name, " or ".join(allowed))
        return value

    def wrong(self, name: str, expected: str) -> CheckpointError:
        """Return the error for an attribute that cannot be taken."""
        value = self._values.get(name)
        found = "nothing" if value is None else repr(value[:60])
        return CheckpointError(f"{self._owner}: {name}: expected {expected}, found {found}")
