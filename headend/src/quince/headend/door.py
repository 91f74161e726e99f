"""The composition root of the door: enrolment, firmware and work orders, from settings."""

import asyncio
import random
import secrets
import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from fastapi import APIRouter, FastAPI

from quince.headend import wiring
from quince.headend.commands.signing_key import read_signer
from quince.headend.enrolment.authority import open_authority, write_revocation_list
from quince.headend.enrolment.dynamic_security import DynamicSecurity
from quince.headend.enrolment.endpoints import enrolment_router
from quince.headend.enrolment.rules import CONTROL_NAME
from quince.headend.enrolment.service import Enrolment, Terms
from quince.headend.field.app import create_field_app
from quince.headend.field.firmware import firmware_router
from quince.headend.platform.mqtt import MqttLink, TlsFiles
from quince.headend.settings import Settings
from quince.headend.work_orders.endpoints import work_order_router
from quince.model.clock import Clock
from quince.model.errors import InvalidValueError

log = structlog.get_logger()

SettingT = TypeVar("SettingT")

RELOAD_S_MAX = 30.0  # a signal is a matter of milliseconds; a container's may take a second


@asynccontextmanager
async def open_door(settings: Settings, clock: Clock) -> AsyncIterator[FastAPI]:
    """Open the door with every room the settings furnish; work orders are always there."""
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(wiring.open_identity(settings.database))
        work_orders = await stack.enter_async_context(
            wiring.open_work_orders(settings.database, clock)
        )
        routers: list[APIRouter] = [work_order_router(identity, work_orders)]
        if settings.device_ca is not None:
            enrolment = await stack.enter_async_context(open_enrolment(settings, clock))
            await enrolment.publish_revocations()  # a crash may have come before it
            routers.append(enrolment_router(enrolment))
        if settings.firmware_folder is not None:
            routers.append(firmware_router(settings.firmware_folder))
        yield create_field_app(routers)


@asynccontextmanager
async def open_enrolment(settings: Settings, clock: Clock) -> AsyncIterator[Enrolment]:
    """Open enrolment; InvalidValueError names the setting it lacks."""
    folder = _required("device_ca", settings.device_ca)
    authority = open_authority(folder)
    async with wiring.open_enrolment_store(settings.database) as store:
        yield Enrolment(
            store=store,
            authority=authority,
            terms=_terms(settings),
            clock=clock,
            random_octets=secrets.token_bytes,
            publish_list=partial(_publish_list, folder, settings.broker_reload),
        )


def open_authorizer(settings: Settings) -> DynamicSecurity | None:
    """Return who tells the broker about roles; None if no identity of ours may."""
    if settings.control_cert is None:
        return None
    tls = TlsFiles(
        ca=_required("mqtt_ca", settings.mqtt_ca),
        cert=settings.control_cert,
        key=settings.control_key,
    )
    link = MqttLink(
        host=settings.mqtt_host, port=settings.mqtt_port, client_id=CONTROL_NAME, tls=tls
    )
    return DynamicSecurity(link, random.SystemRandom())


def _terms(settings: Settings) -> Terms:
    return Terms(
        broker_host=settings.gateway_mqtt_host or settings.mqtt_host,
        broker_port=settings.gateway_mqtt_port or settings.mqtt_port,
        headend_url=_required("field_url", settings.field_url),
        signers=_signers(settings),
        life=timedelta(days=settings.gateway_certificate_days),
    )


def _signers(settings: Settings) -> Mapping[str, str]:
    if settings.command_key is None:
        return {}
    signer = read_signer(settings.command_signer, settings.command_key)
    return {signer.name: signer.public_key_hex}


async def _publish_list(folder: Path, reload: str | None, octets: bytes) -> None:
    write_revocation_list(folder, octets)
    if reload is None:
        log.warning("broker_not_reloaded", reason="broker_reload is not set")
    else:
        await _run(shlex.split(reload))


async def _run(command: Sequence[str]) -> None:
    """Run the operator's command; a failure is logged and undoes nothing: the list is written."""
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except OSError as error:
        log.warning("broker_not_reloaded", reason=str(error))
        return
    try:
        async with asyncio.timeout(RELOAD_S_MAX):
            code = await process.wait()
    except TimeoutError:
        process.kill()
        code = await process.wait()
    log.info("broker_reload_ended", exit_code=code)


def _required(name: str, value: SettingT | None) -> SettingT:
    if value is None:
        raise InvalidValueError(name, None, "enrolment cannot do without it")
    return value
