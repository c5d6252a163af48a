"""Who gets the next place: by priority, then by age, all places of a job at once."""

from gradient_operator.engine.places import Pool, Wishes, hand_out

A = Pool("namespace", "team-a")
B = Pool("namespace", "team-b")
GPU = Pool("machine", "A100")


def wishes(name, *pools, jobs=1, priority=0, created=0.0, order=0):
    rank = (-priority, created, "ns", name)
    return Wishes(rank, ("ns", name), pools, order, [f"{name}-{number}" for number in range(jobs)])


def given(lines, room, **how):
    ordered = [sorted(line, key=lambda each: each.rank) for line in lines]
    return {each.run[1]: count for each, count in hand_out(ordered, room, **how)}


def test_the_oldest_run_comes_first_and_its_jobs_together():
    line = [wishes("old", A, jobs=3, created=1), wishes("new", A, jobs=3, created=2)]
    assert given([line], {A: 4}) == {"old": 3, "new": 1}
    assert given([line], {A: 2}) == {"old": 2}
    assert given([line], {A: 0}) == {}


def test_a_higher_priority_comes_before_an_older_run():
    line = [wishes("old", A, created=1), wishes("urgent", A, created=2, priority=5)]
    assert given([line], {A: 1}) == {"urgent": 1}


def test_a_job_gets_all_its_places_or_none():
    assert given([[wishes("a", A, GPU)]], {A: 1, GPU: 0}) == {}
    assert given([[wishes("a", A, GPU)]], {A: 1, GPU: 1}) == {"a": 1}


def test_who_needs_less_may_pass_who_waits_for_something_else():
    blocked, other = wishes("gpu", A, GPU, jobs=9, created=1), wishes("cpu", A, jobs=9, created=2)
    # One place of the namespace is kept for the first that waits for a GPU.
    assert given([[blocked], [other]], {A: 4, GPU: 0}) == {"cpu": 3}


def test_the_first_in_a_line_is_not_starved_by_others_that_need_less():
    first = wishes("gpu", A, GPU, created=1)
    others = [wishes(f"cpu-{number}", A, created=2 + number) for number in range(3)]
    assert given([[first], others], {A: 1, GPU: 0}) == {}
    foreign = wishes("foreign", B, GPU, created=9)
    assert given([[first], others, [foreign]], {A: 0, B: 1, GPU: 1}) == {}
    assert given([[first], others, [foreign]], {A: 1, B: 1, GPU: 1}) == {"gpu": 1}


def test_a_job_that_waits_keeps_no_place_from_an_earlier_one_of_its_own_run():
    cpu, gpu = wishes("run", A, order=0), wishes("run", A, GPU, order=1)
    assert hand_out([[gpu], [cpu]], {A: 1, GPU: 0}) == [(cpu, 1)]


def test_nobody_is_served_behind_a_run_that_was_not_looked_at():
    line = [wishes("seen", A, created=1), wishes("later", A, created=3)]
    assert given([line], {A: 5}, until=(0, 2.0, "ns", "unseen")) == {"seen": 1}


def test_a_limit_that_was_lowered_gives_nothing_until_enough_have_ended():
    assert given([[wishes("a", A)]], {A: -3}) == {}
