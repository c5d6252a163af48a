"""Whose turn it is in a concurrency group."""

from gradient_operator.engine.concurrency import Member, Start, Superseded, Wait, decide


def member(name, *, at=None, **marks):
    return Member(uid=name, name=name, created_at=ord(name[0]) if at is None else at, **marks)


def under_way(name, **marks):
    return member(name, started=True, **marks)


def waiting(name, **marks):
    return member(name, queued=True, **marks)


def test_alone_a_run_starts():
    assert decide(member("b"), []) == Start()


def test_a_run_waits_for_the_one_under_way():
    assert decide(member("b"), [under_way("a")]) == Wait("a")


def test_a_run_under_way_goes_on_whoever_comes():
    assert decide(under_way("a"), [waiting("b"), member("c")]) == Start()


def test_of_two_new_runs_the_older_starts():
    assert decide(member("a"), [member("b")]) == Start()
    assert decide(member("b"), [member("a")]) == Wait("a")


def test_runs_of_the_same_second_have_their_turn_by_name():
    assert decide(member("a", at=1), [member("b", at=1)]) == Start()
    assert decide(member("b", at=1), [member("a", at=1)]) == Wait("a")


def test_a_run_under_way_counts_even_if_it_ranks_behind():
    assert decide(member("a"), [under_way("b")]) == Wait("b")


def test_of_those_that_wait_only_the_newest_remains():
    assert decide(waiting("b"), [under_way("a"), waiting("c"), waiting("d")]) == Superseded(
        "d", in_progress=False
    )
    assert decide(waiting("d"), [under_way("a"), waiting("b"), waiting("c")]) == Wait("a")


def test_the_next_in_line_is_not_pushed_out_once_it_is_its_turn():
    assert decide(waiting("b"), [waiting("c")]) == Start()


def test_a_run_that_was_not_looked_at_pushes_nobody_out():
    assert decide(waiting("b"), [under_way("a"), member("c")]) == Wait("a")


def test_a_newer_run_that_cancels_ends_the_one_under_way():
    assert decide(under_way("a"), [waiting("b", cancels=True)]) == Superseded("b", in_progress=True)
    assert decide(waiting("b", cancels=True), [under_way("a")]) == Wait("a")


def test_an_older_run_that_cancels_ends_nothing():
    assert decide(under_way("b"), [waiting("a", cancels=True)]) == Start()


def test_a_run_that_is_being_cancelled_keeps_its_place_until_it_has_ended():
    assert decide(member("b"), [under_way("a", leaving=True)]) == Wait("a")


def test_a_waiting_run_that_is_cancelled_is_in_nobodys_way():
    assert decide(member("b"), [waiting("a", leaving=True)]) == Start()
    newer = waiting("c", leaving=True, cancels=True)
    assert decide(waiting("b"), [under_way("a"), newer]) == Wait("a")
    assert decide(under_way("a"), [newer]) == Start()
