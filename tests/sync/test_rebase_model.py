"""The rules of a rebase make machines agree, whoever pulls from whom; shown of lists alone.

``test_rebase_schedules`` holds real stores against the same model.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sync.rebasing_model import History, World, ids, replayed, then

Step = tuple[str, int, int]
"""What is done, by which machine, and with which other."""

PEERS = ("append", "append", "pull", "swap")
ALL = (*PEERS, "push", "fetch")


def schedules(kinds: Sequence[str], machines: int) -> st.SearchStrategy[list[Step]]:
    """Steps of these kinds among so many machines."""
    pairs = st.sampled_from(list(itertools.permutations(range(machines), 2)))
    step = st.tuples(st.sampled_from(kinds), pairs)
    return st.lists(step.map(lambda drawn: (drawn[0], *drawn[1])), max_size=30)


def run(world: World, steps: Iterable[Step]) -> None:
    """Take the steps, and hold every promise about a single one against each."""
    for kind, here, there in steps:
        before = list(world.machines)
        if kind == "append":
            world.append(here)
        elif kind == "push":
            world.push(here)
        elif kind == "swap":
            world.swap(here, there)
        else:
            world.pull(here, None if kind == "fetch" else there)
        for was, now in zip(before, world.machines, strict=True):
            assert len(now) >= len(was), "a version fell"
            assert set(ids(now)) >= set(ids(was)), "an event is lost"
        check_orders(world)


def check_orders(world: World) -> None:
    """Each event stands once, after all that its machine knew when it was recorded."""
    for history in (*world.machines, world.hub):
        seen: set[str] = set()
        for event in ids(history):
            assert event not in seen, "an event is doubled"
            assert world.before[event] <= seen, "an event precedes what it may be an answer to"
            seen.add(event)


def has_settled(world: World) -> bool:
    """Whether all machines have the same history, with every event there is."""
    return len({*world.machines}) == 1 and set(ids(world.machines[0])) == set(world.before)


@pytest.mark.parametrize("machines", [2, 3])
@settings(max_examples=300)
@given(st.data())
def test_a_hub_settles_everything(machines: int, data: st.DataObject) -> None:
    """Whatever was pulled from whom before: after two rounds with the hub all are equal."""
    world = World(machines)
    run(world, data.draw(schedules(ALL, machines)))
    world.settle()
    check_orders(world)
    assert has_settled(world)
    assert world.hub == world.machines[0]


@pytest.mark.parametrize("machines", [2, 3])
@settings(max_examples=300)
@given(st.data())
def test_peers_settle_by_themselves(machines: int, data: st.DataObject) -> None:
    """Without a hub too, in any order, at once or in turn, as long as all hear of all."""
    world = World(machines)
    run(world, data.draw(schedules(PEERS, machines)))
    pairs = list(itertools.permutations(range(machines), 2))
    order = data.draw(st.permutations(pairs))
    at_once = data.draw(st.booleans())
    for _ in range(machines + 1):
        for here, there in order:
            run(world, [("swap" if at_once else "pull", here, there)])
    assert has_settled(world)
    settled = list(world.machines)
    run(world, [("pull", *pair) for pair in pairs])
    assert world.machines == settled, "what is settled moves"


@pytest.mark.parametrize("smaller", [True, False], ids=["smaller", "larger"])
def test_a_hub_and_a_peer_by_turns(smaller: bool) -> None:
    """Whatever the smaller id speaks for: what the hub has stands, and nothing moves again."""
    world = World(2)
    world.append(0)
    world.append(1)
    world.push(0)
    world.pull(1, 0)
    world.pull(0, 1)
    world.swap(0, 1)

    def tip(history: History) -> str:
        return str((ids(history)[:1] == ids(world.hub)[:1]) is not smaller)

    for _ in range(3):
        for here in (0, 1):
            world.pull(here, None, tip)
            world.push(here)
            world.pull(here, 1 - here, tip)
    assert has_settled(world)
    assert world.hub == world.machines[0]


def test_an_idle_peer_changes_nothing() -> None:
    """One that knows less and brings nothing new does not make us replay what we have."""
    world = World(2)
    world.append(0)
    world.append(1)
    world.pull(0, 1)
    before = world.machines[0]
    world.machines[1] = then((), "event-0")  # as it was told by somebody else, and went to sleep
    world.pull(0, 1)
    assert world.machines[0] == before


def test_two_orders_of_the_same_events_end_in_one() -> None:
    """Both pull at once and have swapped their orders; at the next time one of them stands."""
    world = World(2)
    for here in (0, 1):
        world.append(here)
    world.swap(0, 1)
    first, second = world.machines
    assert ids(first) == ids(second)[::-1]
    world.swap(0, 1)
    assert world.machines[0] == world.machines[1] == min(first, second, key=lambda h: h[-1].commit)


def test_an_event_keeps_its_first_origin() -> None:
    """Replayed at once or by way of another place, it comes to the same commit."""
    hub = then(then((), "a"), "b")
    ours = then((), "ours")
    at_once = replayed(ours, hub)
    by_way = replayed(replayed(ours, hub[:1]), hub)
    assert at_once == by_way
    assert at_once[-1].origin == ours[-1].commit
