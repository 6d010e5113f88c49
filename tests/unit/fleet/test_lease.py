"""Who may have the lease, and what is written down about it."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from bluestone.fleet.controller.lease import Holder, Lease, as_heir, refusal, takeover

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def holder(token: str, host: str = "here") -> Holder:
    return Holder(token, host, f"{host}.example", 7, "anna", "bluestone up", NOW)


ME = holder("me")


@pytest.mark.parametrize(
    ("lease", "take_over", "heir", "refused"),
    [
        (None, False, False, ""),
        (Lease(3, holder("other"), 1.2), False, False, "another controller leads this fleet"),
        (Lease(3, holder("other"), 1.2), False, True, "another controller leads this fleet"),
        (Lease(3, holder("other"), 1.2), True, False, ""),
        (Lease(3, holder("other"), 0.0), False, False, ""),
        (Lease(3, holder("other", "there"), 0.0), False, False, "last led from another machine"),
        (Lease(3, holder("other", "there"), 0.0, returned=True), False, False, "last led from another machine"),
        (Lease(3, holder("other", "there"), 0.0), False, True, ""),
        (Lease(3, holder("other", "there"), 0.0), True, False, ""),
        (Lease(3, ME, 1.2), False, False, ""),
        (
            Lease(3, as_heir(Lease(2, holder("gone", "there"), 0.0), ME), 0.0),
            False,
            False,
            "declared on another machine",
        ),
        (Lease(3, as_heir(Lease(2, holder("gone", "there"), 0.0), ME), 0.0), False, True, ""),
        (Lease(3, as_heir(Lease(2, holder("gone", "there"), 0.0), ME), 0.0), True, False, ""),
        (Lease(3, as_heir(Lease(2, holder("gone"), 0.0), holder("heir", "there")), 0.0), False, False, ""),
    ],
)
def test_who_may_lead(lease: Lease | None, take_over: bool, heir: bool, refused: str) -> None:
    found = refusal(
        lease, replace(ME, token="new") if lease and lease.holder.heir_of else ME, take_over=take_over, heir=heir
    )
    assert (found is not None) == bool(refused)
    if found is not None:
        assert refused in found.what
        assert "process 7 (`bluestone up`) of anna on " in found.what
        assert "--take-over" in found.mend
        assert found.lease is lease


@pytest.mark.parametrize(
    ("lease", "said"),
    [
        (None, ""),
        (Lease(3, holder("other"), 0.0, returned=True), ""),
        (Lease(3, ME, 1.0), ""),
        (Lease(3, holder("other"), 0.0), "did not give the lease back"),
        (Lease(3, holder("other"), 1.0), "did not give the lease back"),
        (Lease(3, holder("other", "there"), 0.0, returned=True), "before it process 7"),
    ],
)
def test_a_takeover_is_worth_a_word_unless_it_was_merely_handed_on(lease: Lease | None, said: str) -> None:
    message = takeover(lease, ME)
    assert said in message
    assert bool(said) == bool(message)


def test_heirs_hand_on_whose_declaration_holds() -> None:
    first = as_heir(Lease(1, holder("a", "alpha"), 0.0), holder("b", "beta"))
    second = as_heir(Lease(2, first, 0.0), holder("c", "gamma"))
    assert (first.declared_on, second.declared_on) == ("alpha", "alpha")
    assert as_heir(None, ME).declared_on == "here"
