import stat
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.formats.cpio import BLOCK, Node, archive, directory, file, link

parts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="/"), min_size=1, max_size=8)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join)


def members(content: bytes) -> Iterator[Node]:
    """Reads the format, from its description."""
    while True:
        assert content[:6] == b"070701"
        fields = [int(content[6 + 8 * each : 14 + 8 * each], 16) for each in range(13)]
        name_end = 110 + fields[11]
        name = content[110 : name_end - 1].decode()
        start = -(-name_end // 4) * 4
        end = start + fields[6]
        if name == "TRAILER!!!":
            return
        assert (fields[2], fields[3]) == (0, 0)
        yield Node(name, fields[1], content[start:end], (fields[9], fields[10]))
        content = content[-(-end // 4) * 4 :]


@given(st.dictionaries(paths, st.binary(max_size=9)))
def test_what_was_written_is_read_back_in_order(files: dict[str, bytes]) -> None:
    content = archive([file(path, text, 0o755) for path, text in files.items()])
    assert len(content) % BLOCK == 0
    read = list(members(content))
    assert [node.path for node in read] == sorted(node.path for node in read)
    assert {node.path: node.content for node in read if node.path in files} == files
    for node in read:
        above = node.path.rpartition("/")[0]
        assert not above or above in [each.path for each in read[: read.index(node)]]


def test_each_kind_is_written_as_it_is() -> None:
    nodes = [directory("dev"), Node("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)), link("lib", "usr/lib")]
    assert list(members(archive(reversed(nodes)))) == nodes
