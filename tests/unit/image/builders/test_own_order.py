"""What dpkg is told to do: everything once, and nothing before what it needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.builders.own.order import CONFIGURE_ALL, changing, installing
from bluestone.image.builders.own.relations import Relations

NAMES = [f"p{number}" for number in range(8)]


def test_relations_are_read_with_versions_alternatives_and_what_is_provided() -> None:
    relations = Relations(
        {
            "mawk": {"Provides": "awk (= 1), other"},
            "base-files": {"Pre-Depends": "awk"},
            "web": {"Depends": "libc6 (>= 2.38), mail | base-files:any", "Pre-Depends": "mawk [amd64]"},
            "libc6": {},
        }
    )
    assert relations.needs("base-files", "Pre-Depends") == {"mawk"}
    assert relations.needs("web", "Depends") == {"libc6", "base-files"}
    assert relations.closure(["web"]) == {"web", "libc6", "base-files", "mawk"}
    assert relations.in_order(["base-files", "mawk"]) == ["mawk", "base-files"]


def test_packages_that_need_each_other_are_ordered_by_name() -> None:
    relations = Relations({"b": {"Pre-Depends": "a"}, "a": {"Pre-Depends": "b"}})
    assert relations.in_order(["b", "a"]) == ["a", "b"]


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)), st.booleans(), st.booleans()),
        min_size=1,
    )
)
def test_every_package_is_unpacked_once_and_configured_after(
    made: dict[str, tuple[set[str], set[str], bool, bool]],
) -> None:
    # A package needs earlier ones before it is unpacked, and any to be configured.
    packages = {
        name: {
            "Pre-Depends": ", ".join(sorted(each for each in before if each < name)),
            "Depends": ", ".join(sorted(each for each in needs if each < name)),
        }
        for name, (before, needs, _, _) in made.items()
    }
    relations = Relations(packages)
    required = relations.closure(name for name, each in made.items() if each[2])
    ours = {name for name, each in made.items() if each[3]}
    unpacked, configured = set(ours), set[str]()
    steps = installing(relations, ours, required)
    assert steps[-1:] == CONFIGURE_ALL
    for options, names in steps[:-1]:
        assert names
        assert len(names) == len(set(names))
        if "--unpack" in options:
            assert not unpacked & set(names)
            if "--force-depends" not in options:
                assert all(relations.needs(name, "Pre-Depends") <= configured for name in names)
            unpacked |= set(names)
        else:
            assert set(names) <= unpacked
            configured |= set(names)
            assert all(relations.needs(name, "Depends", "Pre-Depends") <= configured for name in names)
    assert unpacked == packages.keys()


def test_what_is_changed_is_installed_at_once_where_nothing_forbids_it() -> None:
    relations = Relations({"a": {}, "b": {"Depends": "a"}, "c": {"Pre-Depends": "unchanged"}})
    purge, (options, names) = changing(relations, ["old"])
    assert purge == (["--force-depends", "--purge", "old"], [])
    assert options == ["--install"]
    assert sorted(names) == ["a", "b", "c"]
    assert names.index("a") < names.index("b")
    waits = Relations({"a": {}, "b": {"Pre-Depends": "a"}})
    assert changing(waits, []) == [
        (["--unpack"], ["a"]),
        (["--configure"], ["a"]),
        (["--unpack"], ["b"]),
        *CONFIGURE_ALL,
    ]
    assert changing(Relations({}), []) == CONFIGURE_ALL
