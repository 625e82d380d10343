"""The local Service Bus alone, through the real SDK: messages a second, and what it costs when nobody uses it."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from azure.servicebus import ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

from bench import figure
from lotpro_kit import bus, testing

#: Large enough for a second or so of each kind of work on two cores.
SINGLE, BATCHES, BATCH = 3_000, 100, 100
BODY = "x" * 1_000
IDLE_SECONDS = 10
SAS_KEY = "bench"
SUBSCRIPTIONS = ("settled", "deleted")
CONFIG = {"UserConfig": {"Namespaces": [{"Name": "bench", "Topics": [
    {"Name": "one", "Subscriptions": [{"Name": "reader"}]},
    *({"Name": name, "Subscriptions": [{"Name": "reader"}]} for name in SUBSCRIPTIONS),
]}]}}


@contextmanager
def _broker() -> Iterator[testing.Process]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps(CONFIG))
        process = testing.start(
            "lotpro_localcloud.servicebus", "--state", folder, "--config", str(config), "--sas-key", SAS_KEY,
            log=Path(folder, "broker.log"),
        )
        try:
            yield process
        finally:
            process.stop()


class _Use:
    """What the broker and this process, which is the SDK's client, use of a core each: who is busy is the limit."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._broker, self._client = process, _cpu(process), time.process_time()
        self._begun = time.perf_counter()

    def report(self, name: str, count: int, *, bar: float, samples: Sequence[float] = (), note: str = "") -> bool:
        """A figure of `count` messages since the start.

        Its limit is the SDK's own: the rate at which the client's work alone fills one core, with a broker that answers
        at once. No broker can do better on this machine.
        """
        elapsed = time.perf_counter() - self._begun
        broker = (_cpu(self._process) - self._broker) / elapsed
        client = (time.process_time() - self._client) / elapsed
        busy = f"of a core the broker used {broker:.0%}, the SDK {client:.0%}; limit: the SDK alone"
        return figure.report(
            name, count / elapsed, "messages/s", bar=bar, better="higher", n=count, samples=samples,
            limit=count / (elapsed * client), note="; ".join(filter(None, (note, busy))),
        )


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _send_single(sender: ServiceBusSender, process: psutil.Process) -> bool:
    samples: list[float] = []
    use = _Use(process)
    for _ in range(SINGLE):
        at = time.perf_counter()
        await sender.send_messages(ServiceBusMessage(BODY))
        samples.append((time.perf_counter() - at) * 1000)
    return use.report("broker_send_single", SINGLE, bar=2400, samples=samples, note="percentiles in ms")


async def _fill(sender: ServiceBusSender) -> None:
    for _ in range(BATCHES):
        batch = await sender.create_message_batch()
        for _ in range(BATCH):
            batch.add_message(ServiceBusMessage(BODY))
        await sender.send_messages(batch)


async def _send_batches(client: ServiceBusClient, process: psutil.Process) -> bool:
    async with client.get_topic_sender("settled") as sender:
        use = _Use(process)
        await _fill(sender)
        return use.report("broker_send_batch", BATCHES * BATCH, bar=11_000, note=f"batches of {BATCH}")


async def _receive(
    client: ServiceBusClient, process: psutil.Process, *, settle: bool, name: str, bar: float
) -> bool:
    """Receive all messages; with `settle`, complete them one after another, as the kit does.

    Completed side by side, the SDK's calls wait for each other on the link: a quarter of the rate.
    """
    topic = "settled" if settle else "deleted"
    mode = ServiceBusReceiveMode.PEEK_LOCK if settle else ServiceBusReceiveMode.RECEIVE_AND_DELETE
    async with client.get_subscription_receiver(topic, "reader", receive_mode=mode) as receiver:
        count, use = 0, _Use(process)
        while count < BATCHES * BATCH:
            messages = await receiver.receive_messages(max_message_count=BATCH, max_wait_time=5)
            if not messages:
                raise RuntimeError(f"{count} of {BATCHES * BATCH} messages came")
            if settle:
                for message in messages:
                    await receiver.complete_message(message)
            count += len(messages)
        return use.report(name, count, bar=bar)


async def _idle(process: psutil.Process) -> bool:
    before, begun = _cpu(process), time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    share = (_cpu(process) - before) / (time.perf_counter() - begun) * 100
    memory = process.memory_info().rss / 2**20
    small = figure.report("broker_idle_memory", memory, "MiB RSS", bar=26, better="lower", note="before any load")
    quiet = figure.report("broker_idle_cpu", share, "% of one core", bar=0.5, better="lower")
    return small and quiet


async def main() -> bool:
    """Print the figures; True when all meet their bars."""
    with _broker() as running:
        process = psutil.Process(running.popen.pid)
        results = [await _idle(process)]
        client = ServiceBusClient.from_connection_string(
            f"Endpoint=sb://localhost:{running.ready['port']};SharedAccessKeyName=RootManageSharedAccessKey;"
            f"SharedAccessKey={SAS_KEY};UseDevelopmentEmulator=true;",
            socket_timeout=bus.QUIET_SECONDS,
        )
        async with client:
            async with client.get_topic_sender("one") as sender:
                await sender.send_messages(ServiceBusMessage("open the link"))
                results.append(await _send_single(sender, process))
            results.append(await _send_batches(client, process))
            results.append(
                await _receive(client, process, settle=True, name="broker_receive_complete", bar=3_400)
            )
            async with client.get_topic_sender("deleted") as sender:
                await _fill(sender)
            results.append(
                await _receive(client, process, settle=False, name="broker_receive_delete", bar=15_000)
            )
    return all(results)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
