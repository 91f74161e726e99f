"""The shipped profiles by name, and as a table of what works with which meters."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from quince.model.errors import InvalidValueError
from quince.protocols.modbus.documents import parse_profile
from quince.protocols.modbus.profiles import ModbusProfile
from quince.protocols.modbus.quality import Rule, Status

_QUANTITIES = {
    "1-0:1.8.0": "import",
    "1-0:2.8.0": "export",
    "1-0:3.8.0": "reactive",
    "1-0:5.8.0": "reactive by quadrant",
    "1-0:21.8.0": "by phase",
}
_PROOFS = {Rule.SIMULATED: "our simulator", Rule.REGISTERS_CHECKED: "public register table"}


def profile_names() -> list[str]:
    """Return the shipped profiles' names, sorted."""
    return sorted(_shipped())


def load_profile(name: str) -> ModbusProfile:
    """Return the shipped profile `name`; InvalidValueError if there is none."""
    return parse_profile(_text(name), _text)


def _text(name: str) -> str:
    shipped = _shipped()
    if name not in shipped:
        raise InvalidValueError("profile", name, f"one of {', '.join(sorted(shipped))}")
    return shipped[name].read_text(encoding="utf-8")


def _shipped() -> Mapping[str, Traversable]:
    return {
        file.name.removesuffix(".toml"): file
        for file in files("quince.edge.profiles").iterdir()
        if file.name.endswith(".toml")
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One meter of the table of what works with which meters, or one family of SunSpec models."""

    meter: str
    profiles: tuple[str, ...]
    read: str
    proven_with: str


def rows(profiles: Mapping[str, ModbusProfile]) -> list[Row]:
    """Return a row for each profile, by meter; the models of SunSpec share one."""
    sunspec = {name: one for name, one in profiles.items() if one.sunspec_model is not None}
    table = [_row(one.name, [name], one) for name, one in profiles.items() if name not in sunspec]
    if sunspec:
        models = ", ".join(str(one.sunspec_model) for one in sunspec.values())
        any_model = next(iter(sunspec.values()))
        table.append(_row(f"SunSpec meter models {models}", [*sunspec], any_model))
    return sorted(table, key=lambda row: row.meter)


def markdown(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| Modbus meter | Profile | What is read | Proven with |", "|---|---|---|---|"]
    for row in table:
        names = ", ".join(f"`{name}`" for name in row.profiles)
        lines.append(f"| {row.meter} | {names} | {row.read} | {row.proven_with} |")
    return "\n".join(lines)


def _row(meter: str, names: list[str], profile: ModbusProfile) -> Row:
    return Row(
        meter=meter,
        profiles=tuple(names),
        read=_read(profile),
        proven_with=_proven_with(profile),
    )


def _read(profile: ModbusProfile) -> str:
    names = {str(point.obis) for point in profile.energies}
    quantities = ", ".join(word for obis, word in _QUANTITIES.items() if obis in names)
    return f"{quantities}; momentary" if profile.momentaries else quantities


def _proven_with(profile: ModbusProfile) -> str:
    done = {rule for rule, proof in profile.quality.items() if proof.status is Status.DONE}
    if Rule.READ_FROM_REAL_METER in done:
        return "a real meter"
    proofs = [words for rule, words in _PROOFS.items() if rule in done]
    return ", ".join(proofs) or "nothing yet"
