"""Runs in a Pod between jobs and object storage: lets their bytes through, holds them, or is away.

Each scenario has a port of its own. What a port does stands in the file `/gate/<port>`:

* nothing, or `open`: every byte goes on;
* `hold`: requests up to a few KiB go on, the bodies of uploads stop, as on a line that is too slow;
* `down`: nobody listens, and what was connected is cut.

Once a port does it, `/gate/does-<port>` says so, too.

The first port is no gate: jobs report there that they run (`mark NAME`), or wait (`wait NAME`)
until there is a file `/gate/go-NAME`. Every report is a line of `/gate/marks`. The file
`/gate/read-<port>` has the number of bytes that came from the storage through a port.
"""

import asyncio
import sys
from collections import Counter
from pathlib import Path

FOLDER = Path("/gate")
SMALL = 8_192
TICK = 0.05


def mode(port):
    try:
        return (FOLDER / str(port)).read_text().strip()
    except FileNotFoundError:
        return "open"


async def until(holds):
    """Wait for something that files say."""
    while not holds():  # noqa: ASYNC110  # files raise no event
        await asyncio.sleep(TICK)


READ = Counter()
"""Bytes from the storage, by port."""


async def forward(port, reader, writer, *, body):
    """Hand bytes on; those of a request's body may be held."""
    passed = 0
    try:
        while data := await reader.read(65_536):
            passed += len(data)
            if body and passed > SMALL:
                # Nothing but "open" lets go what was held: "down" finds it still here to cut.
                await until(lambda: mode(port) == "open")
            if not body:
                READ[port] += len(data)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # one end is gone, or `down` has cut it: the other end hears of it by the close
    finally:
        writer.close()


class Gate:
    def __init__(self, port, host, target):
        self.port, self.host, self.target = port, host, target
        self.server, self.writers = None, set()

    async def connected(self, reader, writer):
        try:
            there, back = await asyncio.open_connection(self.host, self.target)
        except OSError:
            writer.close()
            return
        if mode(self.port) == "down":  # it has come meanwhile, and cut all that it knew
            writer.close()
            back.close()
            return
        self.writers |= {writer, back}
        await asyncio.gather(
            forward(self.port, reader, back, body=True),
            forward(self.port, there, writer, body=False),
        )
        self.writers -= {writer, back}

    async def run(self):
        while True:
            new = FOLDER / f"new-{self.port}"
            new.write_text(str(READ[self.port]))
            new.rename(FOLDER / f"read-{self.port}")
            wanted = mode(self.port)
            down = wanted == "down"
            if down and self.server is not None:
                self.server.close()
                self.server = None
                for writer in self.writers:
                    writer.transport.abort()
            elif not down and self.server is None:
                self.server = await asyncio.start_server(self.connected, "0.0.0.0", self.port)
            (FOLDER / f"does-{self.port}").write_text(wanted)
            await asyncio.sleep(TICK)


async def report(reader, writer):
    words = (await reader.readline()).decode().split()
    if len(words) == 2:
        with (FOLDER / "marks").open("a") as marks:
            marks.write(words[1] + "\n")
        if words[0] == "wait":
            await until((FOLDER / f"go-{words[1]}").exists)
        writer.write(b"go on\n")
    writer.close()


async def main(first, count, host, target):
    await asyncio.start_server(report, "0.0.0.0", first)
    gates = [Gate(first + number, host, target) for number in range(1, count + 1)]
    (FOLDER / "ready").touch()
    await asyncio.gather(*(gate.run() for gate in gates))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
