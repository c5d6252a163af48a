"""A group in which anything may happen at any time: at most one run is ever under way."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gradient_operator.engine.concurrency import Member, Start, Superseded, decide


class Group(RuleBasedStateMachine):
    """Runs come, are looked at in any order, are cancelled, and end."""

    def __init__(self):
        super().__init__()
        self.members = {}
        self.count = 0
        self.newest = None

    @rule(cancels=st.booleans(), same_second=st.booleans(), letter=st.sampled_from("amz"))
    def come(self, cancels, same_second, letter):
        if not same_second:
            self.count += 1
        name = f"{letter}{len(self.members)}-{self.count}"
        while name in self.members:
            name += "x"
        self.members[name] = Member(name, name, float(self.count), cancels=cancels)

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def look(self, data):
        self.look_at(data.draw(st.sampled_from(sorted(self.members))))

    def look_at(self, name):
        """What the controller does; a start is recorded on what is true at that moment."""
        me = self.members[name]
        if me.leaving and not me.started:
            del self.members[name]
            return True
        turn = decide(me, [other for other in self.members.values() if other.name != name])
        after = me
        if isinstance(turn, Superseded):
            if me.started:
                after = replace(me, leaving=True)
            else:
                assert self.members[turn.run].rank > me.rank
                del self.members[name]
                return True
        elif isinstance(turn, Start):
            after = replace(me, started=True)
        elif not me.started:
            after = replace(me, queued=True)
        self.members[name] = after
        return after != me

    @precondition(lambda self: any(each.started for each in self.members.values()))
    @rule(data=st.data())
    def end(self, data):
        started = sorted(each.name for each in self.members.values() if each.started)
        del self.members[data.draw(st.sampled_from(started))]

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def cancel(self, data):
        name = data.draw(st.sampled_from(sorted(self.members)))
        self.members[name] = replace(self.members[name], leaving=True)

    @rule()
    def settle(self):
        """With everybody looked at often enough one is under way, and at most one waits."""
        while any(self.look_at(name) for name in sorted(self.members)):
            pass
        started = [each for each in self.members.values() if each.started]
        waiting = [each for each in self.members.values() if not each.started]
        assert bool(started) == bool(self.members)
        assert len(waiting) <= 1
        assert all(each.queued for each in waiting)

    @invariant()
    def one_at_a_time(self):
        assert sum(each.started for each in self.members.values()) <= 1


TestGroup = Group.TestCase
TestGroup.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
