"""The demonstration's own broker, where no Mosquitto is: MQTT 3.1.1, in memory, on loopback."""

import asyncio
import signal
import sys

from amqtt.broker import Broker

CONFIG = {
    "listeners": {"default": {"type": "tcp"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}"}
    broker = Broker({**CONFIG, "listeners": {"default": listener}})
    await broker.start()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
