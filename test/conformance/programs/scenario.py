# SPDX-License-Identifier: BSL-1.0
"""The list of scenarios, which the modules of scenarios fill."""
import dataclasses
import typing


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One behaviour of some programs. run(world) raises Failure or Skipped."""
    name: str
    programs: tuple  # the first one gives the scenario its place in the list
    run: typing.Callable
    ports: tuple = ()  # ports that the programs have written in them: such scenarios do not overlap
    short: bool = False


SCENARIOS = []


def add(name, programs, run, ports=(), short=False):
    SCENARIOS.append(Scenario(name, tuple(programs), run, tuple(ports), short))
