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
    """One meter of the table of what works with which meters."""

    meter: str
    profile: str
    read: str
    proven_with: str
    source: str


def rows(profiles: Mapping[str, ModbusProfile]) -> list[Row]:
    """Return a row for each profile, by meter."""
    return sorted(
        (
            Row(
                meter=profile.name,
                profile=name,
                read=_read(profile),
                proven_with=_proven_with(profile),
                source=f"{profile.source.addresses} ({profile.source.licence})",
            )
            for name, profile in profiles.items()
        ),
        key=lambda row: row.meter,
    )


def markdown(table: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| Meter | Profile | What is read | Proven with | Source |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.meter} | `{row.profile}` | {row.read} | {row.proven_with} | {row.source} |"
        for row in table
    ]
    return "\n".join(lines)


def _read(profile: ModbusProfile) -> str:
    names = {str(point.obis) for point in profile.energies}
    quantities = ", ".join(word for obis, word in _QUANTITIES.items() if obis in names)
    momentary = ", momentary values" if profile.momentaries else ""
    return f"{profile.energies[0].type} energy: {quantities}{momentary}"


def _proven_with(profile: ModbusProfile) -> str:
    if profile.quality[Rule.READ_FROM_REAL_METER].status is Status.DONE:
        return "a real meter"
    if profile.quality[Rule.SIMULATED].status is Status.DONE:
        return "our simulator"
    return "nothing yet"
