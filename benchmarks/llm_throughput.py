"""Measure what asking through HyperMix costs beside a bare loop over the same SDK.

    python benchmarks/llm_throughput.py [speed] [limit] [memory] [embedded]

- speed: 64 requests at once to a loopback server that takes 200 ms, with claims, store and receipts, against a bare
  asyncio loop over `AsyncOpenAI`, in turns; the server's own count between the first and the last tenth of them.
- limit: 3,000 requests a minute, for two and a half minutes: the share of it, and the most in any 60 s.
- memory: resident memory of the job and its sender after 2,000 and after 20,000 requests.
- embedded: the embedded server with one and with four slots, against a bare loop of as many.

Prints Markdown lines for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from hypermix.llm.client import Client, Llm
from hypermix.llm.embedded import embedded_llm, locate_model, serve
from hypermix.llm.endpoint import Endpoint
from hypermix.llm.remote import open_remote
from hypermix.llm.store import RequestStore
from hypermix.records import COMPLETIONS, Request

CONCURRENCY = 64
LATENCY = 0.2
PER_MINUTE = 3000
PROMPT = "Each item in the following list contains a movie review and the respective sentiment. " * 12


@dataclass
class Server:
    """The slow server's process."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        """URL up to and with ``/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    def arrivals(self) -> list[float]:
        """Return when requests came since this was asked last, in seconds."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return list(json.loads(self.process.stdout.readline()))


@contextmanager
def slow_server(seconds: float) -> Iterator[Server]:
    """Run the slow server for the length of a block."""
    command = [sys.executable, str(Path(__file__).with_name("slow_server.py")), str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Server(process, int(process.stdout.readline()))
        finally:
            process.kill()


def body(number: int) -> dict[str, Any]:
    """Make a request of a usual size."""
    return {"prompt": f"{PROMPT}{number}", "max_tokens": 40, "temperature": 1.0, "seed": number, "logprobs": 20}


async def _bare(url: str, key: str, bodies: Sequence[Mapping[str, Any]], concurrency: int) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as sdk:
        waiting = iter(bodies)

        async def work() -> None:
            for one in waiting:
                await sdk.completions.create(model="m", **one)

        await asyncio.gather(*(work() for _ in range(concurrency)))


def bare(url: str, bodies: Sequence[Mapping[str, Any]], concurrency: int, key: str = "none") -> None:
    """Ask with nothing but the SDK."""
    asyncio.run(_bare(url, key, bodies, concurrency))


def ask(client: Client, bodies: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Ask as an augmentation does; yields how many answers came."""
    waiting = iter(enumerate(bodies))
    count = open_ = 0
    more = True
    while more or open_:
        while more and (client.room or not open_):
            number, one = next(waiting, (-1, None))
            more = one is not None
            if one is not None:
                client.submit(number, Request(COMPLETIONS, one, str(number)))
                open_ += 1
        if open_:
            client.take()
            open_, count = open_ - 1, count + 1
            yield count


@contextmanager
def hosted(url: str, folder: Path, **limits: Any) -> Iterator[Client]:
    """Open a client with everything that a hosted endpoint has: shared limits, a ledger, a store on the disk."""
    told: dict[str, Any] = {
        "shared": str(folder / "limits"),
        "ledger": str(folder / "spending.json"),
        "rate": {"input": 0.1, "output": 0.5},
    }
    endpoint = Endpoint("m", url, "none", CONCURRENCY, **told, **limits)
    llm = Llm("m", {"base_url": url}, lambda: open_remote(endpoint))
    with Client(llm, RequestStore(folder / "requests")) as client:
        yield client


def rate(arrivals: Sequence[float]) -> float:
    """Return the requests a second between the first tenth and the last."""
    tenth = len(arrivals) // 10
    chosen = sorted(arrivals)[tenth:-tenth]
    return (len(chosen) - 1) / (chosen[-1] - chosen[0])


def speed(requests: int = 6000, turns: int = 3) -> Iterator[str]:
    """Compare with a bare loop, in turns."""
    found: dict[str, list[float]] = {"bare": [], "hypermix": []}
    with slow_server(LATENCY) as server:
        for _ in range(turns):
            bare(server.url, [body(number) for number in range(requests)], CONCURRENCY)
            found["bare"].append(rate(server.arrivals()))
            with tempfile.TemporaryDirectory(dir=".") as folder, hosted(server.url, Path(folder)) as client:
                for _ in ask(client, [body(number) for number in range(requests)]):
                    pass
            found["hypermix"].append(rate(server.arrivals()))
    ratios = [mine / its for mine, its in zip(found["hypermix"], found["bare"], strict=True)]
    middle = {name: statistics.median(values) for name, values in found.items()}
    yield f"| 64 at once, 200 ms each: bare loop | {middle['bare']:.0f} requests/s |"
    yield f"| the same through HyperMix | {middle['hypermix']:.0f} requests/s |"
    shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    yield f"| ratio, median of {turns} turns ({shown}) | {statistics.median(ratios):.3f} |"


def limit(seconds: float = 150.0) -> Iterator[str]:
    """Ask under a limit, and count at the server."""
    count = int(PER_MINUTE * seconds / 60)
    with (
        slow_server(LATENCY) as server,
        tempfile.TemporaryDirectory(dir=".") as folder,
        hosted(server.url, Path(folder), requests_per_min=PER_MINUTE) as client,
    ):
        for _ in ask(client, [body(number) for number in range(count)]):
            pass
        arrivals = sorted(server.arrivals())
    span = arrivals[-1] - arrivals[0]
    most, first = 0, 0
    for last, at in enumerate(arrivals):
        while at - arrivals[first] >= 60:
            first += 1
        most = max(most, last - first + 1)
    share = (len(arrivals) - 1) / span * 60 / PER_MINUTE
    yield f"| limit of {PER_MINUTE:,} requests a minute, {span:.0f} s: share of it | {100 * share:.1f} % |"
    yield f"| most requests in any 60 s | {most:,} |"


def memory(requests: int = 20_000, early: int = 2_000) -> Iterator[str]:
    """Watch the resident memory of both processes."""
    sizes = {}
    with (
        slow_server(LATENCY) as server,
        tempfile.TemporaryDirectory(dir=".") as folder,
        hosted(server.url, Path(folder)) as client,
    ):
        for count in ask(client, [body(number) for number in range(requests)]):
            if count in {early, requests}:
                sizes[count] = _resident("self"), _resident(_sender())
    for place, name in enumerate(("job", "sender")):
        figures = " and ".join(f"{sizes[count][place]} MB" for count in (early, requests))
        yield f"| memory of the {name} after {early:,} and {requests:,} requests | {figures} |"


def _sender() -> str:
    children = Path("/proc/self/task").glob("*/children")
    pids = [pid for path in children for pid in path.read_text().split()]
    return next(pid for pid in pids if "hypermix.llm.sender" in Path(f"/proc/{pid}/cmdline").read_text())


def _resident(process: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024)


def embedded(requests: int = 24) -> Iterator[str]:
    """Compare with a bare loop of as many requests as the embedded server has slots."""
    model = locate_model("package:gemma3-270m", Path("cache/models"))
    bodies = [
        {**body(number), "prompt": f"{PROMPT[:400]}\nMovie review:", "stop": ["\n"]} for number in range(requests)
    ]
    for slots in (1, 4):
        ratios = []
        for _ in range(3):
            with serve(model, 4096, 2, slots) as endpoint:
                started = time.perf_counter()
                bare(endpoint.base_url, bodies, slots, endpoint.api_key)
                its = time.perf_counter() - started
            with tempfile.TemporaryDirectory(dir=".") as folder:
                llm = embedded_llm(model, 4096, 2, slots)
                with Client(llm, RequestStore(Path(folder) / "requests")) as client:
                    client.tokenize(["a"])  # the server is up, as it is for the bare loop
                    started = time.perf_counter()
                    for _ in ask(client, bodies):
                        pass
                    ratios.append(its / (time.perf_counter() - started))
        shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        yield f"| embedded, {slots} slots: ratio to a bare loop ({shown}) | {statistics.median(ratios):.2f} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {"speed": speed, "limit": limit, "memory": memory, "embedded": embedded}


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    print("| what | figure |\n| --- | --- |")
    for name in parser.parse_args().parts:
        for line in PARTS[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main()
