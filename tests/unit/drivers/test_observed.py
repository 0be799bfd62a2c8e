"""What is news, and what a newer operation has overtaken."""

from actors.drivers.observed import News, Observed
from actors.model.ids import InstanceId
from actors.model.instance import PowerState

ONE = InstanceId("1")
RUNNING, OFF = PowerState.RUNNING, PowerState.SHUTDOWN


def test_an_event_is_news_once() -> None:
    observed = Observed()
    assert not observed.job_done(ONE, RUNNING, 1)
    assert not observed.event(ONE, RUNNING, 1)
    assert observed.event(ONE, OFF, 1)
    (news,) = observed.take()
    assert news == News(ONE, OFF, 1)
    observed.told(news)
    assert not observed.event(ONE, OFF, 1)
    assert observed.take() == ()


def test_news_keeps_the_operation_it_was_seen_under() -> None:
    observed = Observed()
    observed.job_done(ONE, OFF, 1)
    observed.event(ONE, RUNNING, 1)
    news = observed.take()
    observed.job_done(ONE, OFF, 2)
    assert [one.sequence for one in news] == [1]
    assert observed.of(ONE) is OFF


def test_a_job_overtakes_news_that_was_not_sent() -> None:
    observed = Observed()
    observed.event(ONE, RUNNING, 1)
    assert not observed.job_done(ONE, OFF, 2)
    assert observed.take() == ()


def test_what_a_job_does_is_no_news() -> None:
    observed = Observed()
    observed.event_during_job(ONE, OFF)
    observed.event_during_job(ONE, RUNNING)
    assert not observed.job_done(ONE, RUNNING, 1)


def test_a_guest_that_dies_while_a_job_ends_is_news() -> None:
    observed = Observed()
    observed.event_during_job(ONE, RUNNING)
    observed.event_during_job(ONE, PowerState.CRASHED)
    assert observed.job_done(ONE, RUNNING, 3)
    assert observed.take() == (News(ONE, PowerState.CRASHED, 3),)


def test_what_is_being_told_is_not_what_comes_next() -> None:
    """Off and on again while the first news is on its way: the second is news too."""
    observed = Observed()
    observed.job_done(ONE, RUNNING, 1)
    assert observed.event(ONE, OFF, 1)
    assert observed.take() == (News(ONE, OFF, 1),)
    assert observed.event(ONE, RUNNING, 1)
    assert observed.take() == (News(ONE, RUNNING, 1),)


def test_a_guest_that_is_gone_is_forgotten() -> None:
    observed = Observed()
    observed.job_done(ONE, RUNNING, 1)
    observed.event_during_job(ONE, OFF)
    assert not observed.job_done(ONE, PowerState.NOSTATE, 2)
    assert len(observed) == 0


def test_what_was_seen_in_a_job_that_broke_is_news() -> None:
    observed = Observed()
    observed.job_done(ONE, RUNNING, 1)
    assert not observed.job_broken(ONE, 2)
    observed.event_during_job(ONE, OFF)
    assert observed.job_broken(ONE, 2)
    assert observed.take() == (News(ONE, OFF, 2),)
    # And it is not taken for something that the next job has done.
    assert not observed.job_done(ONE, RUNNING, 3)


def test_what_is_said_while_the_same_is_being_told_is_news() -> None:
    """What is told may be older than what is said: the guest was looked at in between."""
    observed = Observed()
    observed.job_done(ONE, RUNNING, 1)
    observed.event(ONE, OFF, 1)
    (news,) = observed.take()
    assert observed.event(ONE, OFF, 1)
    observed.told(News(ONE, RUNNING, 1))
    assert observed.take() == (news,)
