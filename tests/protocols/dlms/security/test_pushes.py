"""What meters say unasked, opened under the keys of whoever says it."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from quince.protocols.dlms.errors import ProtectionError, ReplayError
from quince.protocols.dlms.security.credentials import Ciphering
from quince.protocols.dlms.security.envelopes import GENERAL_GLO, Envelope, Form
from quince.protocols.dlms.security.protection import Protection
from quince.protocols.dlms.security.pushes import Push, open_push
from quince.protocols.dlms.security.sealing import AUTHENTICATED_ENCRYPTED, BROADCAST, seal
from quince.protocols.dlms.security.suite import Suite

HEADEND, METER = b"CLI\x00\x00\x00\x00\x01", b"MTR\x00\x00\x00\x00\x01"
EVENT = bytes.fromhex("c2000001808080808000020904") + b"E-17"
NOTIFICATION = bytes.fromhex("0f000000010009020102")
RNG = Random(3)
Sides = Callable[..., tuple[Ciphering, Ciphering]]


FORMS = [Form.GENERAL_GLO, Form.GENERAL_CIPHERING, Form.WRAPPED_KEY]
FORMS += [Form.EPHEMERAL_KEY, Form.STATIC_KEYS]


def _nobody(system_title: bytes) -> None:
    del system_title


@pytest.fixture
def talk(cipherings: Sides) -> Callable[..., tuple[Ciphering, Protection]]:
    """Return a maker of the listener's side and a meter that pushes in a form."""

    def make(form: Form = Form.GENERAL_GLO) -> tuple[Ciphering, Protection]:
        listener, own = cipherings(Suite.AES_128_P256)
        meter = Protection(replace(own, form=form), rng=Random(2))
        meter.meet(HEADEND)
        return listener, meter

    return make


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("plain", [EVENT, NOTIFICATION])
def test_a_push_of_a_known_meter_is_opened_and_named(
    talk: Callable[..., tuple[Ciphering, Protection]], form: Form, plain: bytes
) -> None:
    listener, meter = talk(form)
    push = open_push(meter.seal_apdu(plain), {METER: listener}.get, rng=RNG)
    assert push == Push(apdu=plain, system_title=METER)


@pytest.mark.parametrize("form", FORMS)
def test_a_push_heard_before_is_refused(
    talk: Callable[..., tuple[Ciphering, Protection]], form: Form
) -> None:
    listener, meter = talk(form)
    sealed = meter.seal_apdu(EVENT)
    open_push(sealed, {METER: listener}.get, rng=RNG)
    with pytest.raises(ReplayError):
        open_push(sealed, {METER: listener}.get, rng=RNG)


def test_two_pushes_that_changed_places_are_both_heard(
    talk: Callable[..., tuple[Ciphering, Protection]],
) -> None:
    listener, meter = talk()
    first, second, third = (meter.seal_apdu(EVENT) for _ in range(3))
    for sealed in (first, third, second):
        assert open_push(sealed, {METER: listener}.get, rng=RNG).apdu == EVENT


def test_an_event_that_does_not_say_who_sealed_it_is_opened_for_whom_its_address_says(
    talk: Callable[..., tuple[Ciphering, Protection]],
) -> None:
    listener, meter = talk(Form.SERVICE_SPECIFIC)
    sealed = meter.seal_apdu(EVENT)
    assert sealed[0] == 0xCA
    with pytest.raises(ProtectionError, match="nobody known"):
        open_push(sealed, {METER: listener}.get, rng=RNG)
    push = open_push(sealed, {METER: listener}.get, rng=RNG, sender_title=METER)
    assert push == Push(apdu=EVENT, system_title=METER)


def test_a_stranger_is_refused(talk: Callable[..., tuple[Ciphering, Protection]]) -> None:
    _, meter = talk()
    with pytest.raises(ProtectionError, match="nobody known: '4d5452"):
        open_push(meter.seal_apdu(EVENT), _nobody, rng=RNG)


def test_a_push_under_a_dedicated_key_is_refused(
    talk: Callable[..., tuple[Ciphering, Protection]],
) -> None:
    listener, meter = talk(Form.GENERAL_DEDICATED)
    meter.new_dedicated_key()
    meter.establish()
    with pytest.raises(ProtectionError, match="dedicated"):
        open_push(meter.seal_apdu(EVENT), {METER: listener}.get, rng=RNG)


def test_a_push_under_the_key_that_all_meters_share_is_refused(
    talk: Callable[..., tuple[Ciphering, Protection]],
) -> None:
    """Whoever opens one meter could speak for all of them."""
    listener, _ = talk()
    keys = replace(listener.keys, broadcast=bytes(range(0x40, 0x50)))
    protection = AUTHENTICATED_ENCRYPTED | BROADCAST
    sealed = seal(keys, protection=protection, system_title=METER, counter=9, plain=EVENT)
    apdu = Envelope(tag=GENERAL_GLO, system_title=METER, sealed=sealed).encode()
    with pytest.raises(ProtectionError, match="broadcast"):
        open_push(apdu, {METER: replace(listener, keys=keys)}.get, rng=RNG)


def test_what_comes_in_clear_is_given_without_a_name() -> None:
    assert open_push(EVENT, _nobody, rng=RNG) == Push(apdu=EVENT, system_title=None)
