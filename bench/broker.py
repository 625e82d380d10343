"""The local Service Bus alone, through the real SDK: messages a second, and what it costs when nobody uses it."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
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
ECHOES = 5_000
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


async def _echo_rate() -> float:
    """Round trips a second of one byte over TCP on one event loop: what nothing here can beat one by one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        begun = time.perf_counter()
        for _ in range(ECHOES):
            writer.write(b"x")
            await reader.readexactly(1)
        elapsed = time.perf_counter() - begun
        writer.close()
        await writer.wait_closed()
    return ECHOES / elapsed


class _Use:
    """What the broker and this process, which is the SDK's client, use of a core each: who is busy is the limit."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._broker, self._client = process, _cpu(process), time.process_time()
        self._begun = time.perf_counter()

    def stop(self) -> tuple[float, str]:
        """Seconds since the start, and a note on who was busy."""
        elapsed = time.perf_counter() - self._begun
        broker = (_cpu(self._process) - self._broker) / elapsed
        client = (time.process_time() - self._client) / elapsed
        return elapsed, f"of a core the broker used {broker:.0%}, the SDK {client:.0%}"


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _send_single(sender: ServiceBusSender, process: psutil.Process, limit: float) -> bool:
    samples: list[float] = []
    use = _Use(process)
    for _ in range(SINGLE):
        at = time.perf_counter()
        await sender.send_messages(ServiceBusMessage(BODY))
        samples.append((time.perf_counter() - at) * 1000)
    elapsed, note = use.stop()
    return figure.report(
        "broker_send_single", SINGLE / elapsed, "messages/s", bar=2400, better="higher", samples=samples, limit=limit,
        note=f"percentiles in ms; limit is a TCP echo; {note}",
    )


async def _fill(sender: ServiceBusSender) -> None:
    for _ in range(BATCHES):
        batch = await sender.create_message_batch()
        for _ in range(BATCH):
            batch.add_message(ServiceBusMessage(BODY))
        await sender.send_messages(batch)


async def _send_batches(client: ServiceBusClient, process: psutil.Process, limit: float) -> bool:
    async with client.get_topic_sender("settled") as sender:
        use = _Use(process)
        await _fill(sender)
        elapsed, note = use.stop()
    return figure.report(
        "broker_send_batch", BATCHES * BATCH / elapsed, "messages/s", bar=11_000, better="higher", n=BATCHES * BATCH,
        limit=limit, note=f"batches of {BATCH}; {note}",
    )


async def _receive(
    client: ServiceBusClient, process: psutil.Process, limit: float, *, settle: bool, name: str, bar: float
) -> bool:
    topic = "settled" if settle else "deleted"
    mode = ServiceBusReceiveMode.PEEK_LOCK if settle else ServiceBusReceiveMode.RECEIVE_AND_DELETE
    async with client.get_subscription_receiver(topic, "reader", receive_mode=mode) as receiver:
        count, use = 0, _Use(process)
        while count < BATCHES * BATCH:
            messages = await receiver.receive_messages(max_message_count=BATCH, max_wait_time=5)
            if not messages:
                raise RuntimeError(f"{count} of {BATCHES * BATCH} messages came")
            if settle:
                await asyncio.gather(*(receiver.complete_message(message) for message in messages))
            count += len(messages)
        elapsed, note = use.stop()
    return figure.report(
        name, count / elapsed, "messages/s", bar=bar, better="higher", n=count, limit=limit,
        note=note,
    )


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
        limit = await _echo_rate()
        client = ServiceBusClient.from_connection_string(
            f"Endpoint=sb://localhost:{running.ready['port']};SharedAccessKeyName=RootManageSharedAccessKey;"
            f"SharedAccessKey={SAS_KEY};UseDevelopmentEmulator=true;",
            socket_timeout=bus.QUIET_SECONDS,
        )
        async with client:
            async with client.get_topic_sender("one") as sender:
                await sender.send_messages(ServiceBusMessage("open the link"))
                results.append(await _send_single(sender, process, limit))
            results.append(await _send_batches(client, process, limit))
            results.append(
                await _receive(client, process, limit, settle=True, name="broker_receive_complete", bar=3_400)
            )
            async with client.get_topic_sender("deleted") as sender:
                await _fill(sender)
            results.append(
                await _receive(client, process, limit, settle=False, name="broker_receive_delete", bar=15_000)
            )
    return all(results)


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(main()) else 1)
