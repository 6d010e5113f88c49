"""A daemon and those who ask it, with servers in memory: what it keeps, what it leaves alone, who is told what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bluestone.app.fleet import pause
from bluestone.app.fleet.rollout import tell_nobody
from bluestone.app.fleet.up import Arrival
from bluestone.daemon import client, lead, presence
from bluestone.daemon.run import OWNER_ONLY
from bluestone.fleet.controller.fence import leading
from bluestone.fleet.controller.lock import hold, introduce
from bluestone.logs.receive.listening import listen_unix
from bluestone.model.problem import Problem, Problems
from daemon_world import APACHE, World, ask_up, daemon, until, world

__all__ = ["world"]


def test_up_is_carried_out_by_the_daemon_and_told_as_it_happens(world: World) -> None:
    events: list[str] = []
    said: list[str] = []
    stands: list[int] = []
    with daemon(world) as running:
        arrival = ask_up(
            world,
            notify=lambda _, entry: events.append(entry.kind),
            watch=lambda progress: stands.append(progress[0].serving),
            progress=said.append,
        )
        assert arrival == Arrival(changed=True)
        assert len(world.serving()) == 2
        assert running.lines("command.ended")[0]["by"] == "eve"
        again = ask_up(world)
    assert again == Arrival(changed=False)
    assert events[0] == "rollout.started"
    assert events[-1] == "rollout.finished"
    assert events.count("server.attached") == 2
    assert stands[-1] == 2
    assert said[0] == "building"
    assert world.open().journal.last(("rollout.started",)).data["by"] == "eve"  # type: ignore[union-attr]


def test_secrets_come_from_whoever_asks_and_stand_nowhere_else(world: World) -> None:
    with daemon(world) as running:
        ask_up(world)
        handed = list(world.cloud.bootfiles.values())
        assert [files["secrets/TOKEN"] for files in handed] == [b"s3cret"] * 2
        # Those of a healed server too, though it was nobody's command.
        world.kill(min(world.names))
        running.leader.wake("test")
        until(lambda: len(world.serving()) == 2 and len(world.names) == 2, "it is replaced")
        assert all(files["secrets/TOKEN"] == b"s3cret" for files in world.cloud.bootfiles.values())
        assert "s3cret" not in running.said.getvalue()
        assert "not for anybody" not in str(running.leader.__dict__)
    for path in world.directory.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes(), path


def test_a_dead_server_is_replaced_without_a_new_rollout(world: World) -> None:
    with daemon(world) as running:
        ask_up(world)
        victim = min(world.names)
        world.kill(victim)
        running.leader.wake("podman")
        until(lambda: len(world.serving()) == 2 and victim not in world.names, "it is replaced")
        until(lambda: 'bluestone_servers{group="web",stance="serving"} 2' in running.metrics.text().decode(), "shown")
        text = running.metrics.text().decode()
    assert len(world.events("rollout.started")) == 1
    assert len(world.events("server.died")) == 1
    assert 'bluestone_server_deaths_total{group="web"} 1.0' in text
    assert 'bluestone_actions_total{outcome="done",verb="create"} 3.0' in text
    assert 'bluestone_wakes_total{source="podman"} 1.0' in text


def test_a_half_edited_file_starts_nothing_and_stops_nothing(world: World) -> None:
    with daemon(world) as running:
        ask_up(world)
        before = world.names
        world.write(package="apache", count=5)
        running.leader.wake("test")
        world.kill(min(before))
        running.leader.wake("test")
        until(lambda: len(world.serving()) == 2 and world.names != before, "healed")
        world.file.write_text("this is no")
        victim = min(world.names)
        world.kill(victim)
        running.leader.wake("test")
        until(lambda: len(world.serving()) == 2 and victim not in world.names, "healed again")
        assert len(world.names) == 2
        with pytest.raises(Problems):
            ask_up(world)
        world.write(package="apache", count=3)
        ask_up(world)
        assert len(world.serving()) == 3


def test_a_rollout_that_was_interrupted_is_gone_on_with_by_the_next_daemon(world: World) -> None:
    with daemon(world):
        ask_up(world)
    world.balancer.sick = APACHE
    world.write(package="apache")
    with daemon(world) as running:
        waiting = in_background(lambda: ask_up(world))
        until(lambda: len(world.names) > 2, "the new ones are made")
        running.leader.stop()
        with pytest.raises(Problem, match="ending"):
            waiting()
    assert [said.partition(",")[0] for said in world.events("rollout.finished")] == ["2 servers serve"]
    world.balancer.sick = "none"
    with daemon(world):
        until(lambda: len(world.events("rollout.finished")) == 2, "it goes on by itself")
    assert len(world.names) == 2
    assert len(world.events("rollout.started")) == 2


def test_a_generation_that_fails_goes_back_by_itself_also_under_another_daemon(world: World) -> None:
    world.file.write_text(
        world.file.read_text().replace("[servers.web.secrets]\nTOKEN", "[servers.web.environment]\nA")
    )
    with daemon(world):
        ask_up(world)
    before = world.names
    world.balancer.sick = APACHE
    world.file.write_text(world.file.read_text().replace('"5s"', '"1s"').replace("nginx", "apache"))
    with daemon(world) as running:
        waiting = in_background(lambda: ask_up(world))
        until(lambda: len(world.names) > 2, "the new ones are made")
        running.leader.stop()
        with pytest.raises(Problem):
            waiting()
    with daemon(world, timedelta(seconds=1)):
        until(lambda: bool(world.events("rollout.halted")), "found out")
        until(lambda: len(world.events("rollout.finished")) == 2, "back")
    assert world.names == before


def test_without_the_variable_of_a_secret_nothing_is_made_and_the_next_up_brings_it(world: World) -> None:
    with daemon(world):
        ask_up(world)
    world.kill(min(world.names))
    with daemon(world) as running:
        until(lambda: bool(world.events("rollout.paused")), "held")
        assert "SHOP_TOKEN, which is not set" in world.events("rollout.paused")[0]
        assert running.leader.trouble == ""
        ask_up(world)
        assert len(world.serving()) == 2


def test_a_second_command_is_told_who_works_and_takes_the_place_of_one_that_nobody_waits_for(world: World) -> None:
    world.balancer.sick = APACHE
    world.write(package="apache")
    with daemon(world) as running:

        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        first = in_background(lambda: ask_up(world))
        until(lambda: bool(world.names), "it works")
        with pytest.raises(Problem, match="another command is being worked on: `bluestone up` by eve, since") as told:
            ask_up(world)
        assert "Ctrl-C" in told.value.mend
        world.balancer.sick = "none"
        first()
        world.balancer.sick = APACHE
        world.write(package="apache", count=3)
        with pytest.raises(client.StillWorking, match="the daemon goes on"):
            ask_up(world, watch=interrupt)
        world.balancer.sick = "none"
        until(lambda: len(world.events("rollout.finished")) == 2, "nobody waits, and it goes on")
        assert len(world.serving()) == 3
        assert running.lines("command.left")


def test_pause_holds_the_daemon_and_resume_lets_it_go_on(world: World) -> None:
    with daemon(world) as running:
        ask_up(world)
        pause.pause(world.open(), (), "an exam")
        world.kill(min(world.names))
        running.leader.wake("test")
        until(lambda: 'state="paused"} 1' in running.metrics.text().decode(), "seen")
        assert len(world.names) == 2
        pause.resume(world.open(), ())
        presence.wake(world.open())
        until(lambda: len(world.serving()) == 2, "it goes on")


def test_down_stops_everything_and_the_daemon_waits_for_the_next_up(world: World) -> None:
    with daemon(world) as running:
        ask_up(world)
        lead.down(world.open(), notify=tell_nobody, watch=tell_nobody)
        assert not world.names
        running.leader.wake("test")
        assert not world.balancer.runs
        assert not world.receiver.runs
        ask_up(world)
        assert len(world.serving()) == 2


def test_down_that_was_interrupted_is_brought_to_its_end(world: World) -> None:
    with daemon(world):
        ask_up(world)
    for name in world.names:
        world.balancer.set_sessions(name, 1)
    with daemon(world) as running:
        waiting = in_background(lambda: lead.down(world.open(), notify=tell_nobody, watch=tell_nobody))
        until(lambda: len(world.events("rollout.started")) == 2, "it has begun")
        running.leader.stop()
        with pytest.raises(Problem):
            waiting()
    assert world.names
    for name in world.names:
        world.balancer.set_sessions(name, 0)
    with daemon(world):
        until(lambda: not world.names and not world.receiver.runs and not world.balancer.runs, "down")


def test_what_cannot_be_seen_for_long_is_recorded_once_and_destroys_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemon(world):
        ask_up(world)
    monkeypatch.setattr("bluestone.daemon.leader.BLIND_LIMIT", timedelta(0))
    monkeypatch.setattr("bluestone.daemon.leader.BLIND_PAUSE", 0.01)
    before, world.blind = world.names, True
    with daemon(world) as running:
        until(lambda: bool(world.events("fleet.unseen")), "recorded")
        running.leader.wake("test")
        assert "the machine does not answer" in running.leader.trouble
        assert presence.find(world.open()).trouble == running.leader.trouble  # type: ignore[union-attr]
    assert world.names == before
    world.blind = False
    with daemon(world):
        until(lambda: bool(world.events("fleet.seen")), "seen again")
    assert len(world.events("fleet.unseen")) == 1


def test_servers_are_kept_though_their_log_lines_are_not_received(world: World) -> None:
    with daemon(world) as running:
        ask_up(world)
        world.receiver.broken = True
        victim = min(world.names)
        world.kill(victim)
        running.leader.wake("test")
        until(lambda: len(world.serving()) == 2 and victim not in world.names, "it is replaced")
        running.leader.wake("test")
        until(lambda: running.leader.trouble == "the log receiver did not start", "told")


def test_a_daemon_stands_by_while_another_machine_leads_and_follows_upon_it(world: World) -> None:
    elsewhere = world.open().journal
    with leading(elsewhere, introduce("elsewhere")) as lease, daemon(world, shared=True) as running:
        assert running.leader.epoch == 0
        assert presence.find(world.open()).epoch == 0  # type: ignore[union-attr]
        with pytest.raises(Problem, match="stands by, as another controller leads"):
            ask_up(world)
        assert not world.names
        assert ask_up(world, take_over=True) == Arrival(changed=True)
        assert running.leader.epoch == lease.epoch + 1
        until(lambda: elsewhere.fence.lost is not None, "the other is fenced off")


def test_beside_a_daemon_that_inherited_the_lead_a_declaration_needs_a_word(world: World) -> None:
    with leading(world.open().journal, introduce("elsewhere")):
        pass
    with daemon(world, shared=True) as running:
        until(lambda: running.leader.epoch > 0, "it goes on")
        epoch = running.leader.epoch
        with pytest.raises(Problem, match="declared on another machine"):
            ask_up(world)
        with lead.alone(world.open()):
            pass
        assert (running.leader.epoch, world.names) == (epoch, set())
        assert ask_up(world, take_over=True) == Arrival(changed=True)
        assert running.leader.epoch == epoch + 1
        assert ask_up(world) == Arrival(changed=False), "what is declared here holds from now on"


def test_a_daemon_that_was_fenced_off_acts_no_more_and_follows_when_the_other_ends(world: World) -> None:
    elsewhere = world.open().journal
    with daemon(world, shared=True) as running:
        until(lambda: running.leader.epoch > 0, "it leads")
        with leading(elsewhere, introduce("elsewhere"), take_over=True) as lease:
            until(lambda: running.leader.epoch == 0, "it is fenced off")
        until(lambda: running.leader.epoch > lease.epoch, "it leads again", 30)


def test_a_daemon_that_hangs_is_not_taken_for_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluestone.daemon.connection.CONNECT_TIMEOUT", 0.2)
    project = world.open()
    with listen_unix(presence.socket_of(project), OWNER_ONLY):
        with pytest.raises(Problem, match="runs, and does not answer"):
            ask_up(world)
        presence.wake(project)
    assert presence.find(project) is None, "its socket is there, and nobody listens"


def test_nobody_acts_while_somebody_is_alone_with_a_project(world: World) -> None:
    with hold(world.open().lock_file), pytest.raises(Problem, match="another bluestone acts"), lead.alone(world.open()):
        raise AssertionError
    with daemon(world) as running:
        with lead.alone(world.open()):
            assert running.leader.works_on.startswith("`bluestone stand-by`")
            with pytest.raises(Problem, match="stand-by"):
                ask_up(world)
        ask_up(world)


def test_without_a_daemon_the_work_is_done_here_with_the_same_result(world: World) -> None:
    assert presence.find(world.open()) is None
    assert ask_up(world) == Arrival(changed=True)
    assert len(world.serving()) == 2
    with daemon(world):
        assert ask_up(world) == Arrival(changed=False)


def test_a_command_line_of_another_version_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with daemon(world):
        monkeypatch.setattr("bluestone.daemon.client.__version__", "0.0.9")
        with pytest.raises(Problem, match=r"this is 0\.0\.9") as refused:
            ask_up(world)
    assert "systemctl restart bluestone-shop" in refused.value.mend


def in_background(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin in a thread; the result, or what it raised, when it is asked for."""
    found: list[Any] = []

    def carry_out() -> None:
        try:
            found.append((work(), None))
        except (Problem, Problems) as error:
            found.append((None, error))

    thread = threading.Thread(target=carry_out)
    thread.start()

    def result() -> Any:
        thread.join(30)
        value, error = found[0]
        if error:
            raise error
        return value

    return result
