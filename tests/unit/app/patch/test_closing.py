"""Which server took the place of which."""

from __future__ import annotations

from bluestone.app.patch.closing import successors

OLD = ["web-1-aaaaaaaa-1", "web-2-aaaaaaaa-2", "web-10-aaaaaaaa-3"]


def test_in_a_rotation_the_slot_tells() -> None:
    now = ["web-10-bbbbbbbb-6", "web-1-bbbbbbbb-4", "web-2-bbbbbbbb-5"]
    assert successors(OLD, now) == {OLD[0]: now[1], OLD[1]: now[2], OLD[2]: now[0]}


def test_blue_and_green_have_slots_of_their_own() -> None:
    now = ["web-11-bbbbbbbb-4", "web-9-bbbbbbbb-6", "db-3-bbbbbbbb-5"]
    assert successors(OLD, now) == {OLD[0]: now[1], OLD[1]: now[0]}, "of two groups, and with one server less"


def test_a_server_that_was_healed_in_between_has_the_same_successor() -> None:
    assert successors(["web-1-aaaaaaaa-1", "web-1-aaaaaaaa-9"], ["web-1-bbbbbbbb-10"]) == {
        "web-1-aaaaaaaa-1": "web-1-bbbbbbbb-10",
        "web-1-aaaaaaaa-9": "web-1-bbbbbbbb-10",
    }
