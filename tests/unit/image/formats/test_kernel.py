import pytest

from bluestone.image.formats.kernel import find_kernel, libraries
from bluestone.image.normalise import EPOCH
from bluestone.image.tree import Entry
from bluestone.model.problem import Problem

UDEV = "usr/bin/udevadm"
RELEASE = "6.12.1-cloud-amd64"
WHOLE = (UDEV, f"boot/vmlinuz-{RELEASE}", f"usr/lib/modules/{RELEASE}/modules.dep", f"usr/lib/modules/{RELEASE}/a.ko")


def tree(*paths: str) -> list[Entry]:
    return [Entry(path.encode(), "file", 0o644, 0, 0, EPOCH) for path in paths]


def test_the_kernel_and_its_modules_are_found() -> None:
    kernel = find_kernel(tree(*WHOLE, "usr/lib/modules/other/b.ko"))
    assert kernel.release == RELEASE
    assert kernel.image.path == f"boot/vmlinuz-{RELEASE}".encode()
    assert sorted(kernel.modules) == ["a.ko", "modules.dep"]


@pytest.mark.parametrize(
    ("paths", "what", "mend"),
    [
        ((UDEV,), "has no kernel", "linux-image-cloud-amd64"),
        ((*WHOLE, "boot/vmlinuz-6.1"), f"several kernels.* 6.1, {RELEASE}", "image.packages"),
        (WHOLE[1:], "has no udev", '"udev"'),
        (WHOLE[:2], "no list of the modules", "/usr/lib/modules"),
    ],
)
def test_an_image_that_could_not_boot_is_refused(paths: tuple[str, ...], what: str, mend: str) -> None:
    with pytest.raises(Problem, match=what) as refused:
        find_kernel(tree(*paths))
    assert mend in refused.value.mend


def test_libraries_are_read_from_what_ldd_says() -> None:
    said = """\
	linux-vdso.so.1 (0x00007f9099277000)
	libdevmapper.so.1.02.1 => /lib/x86_64-linux-gnu/libdevmapper.so.1.02.1 (0x00007f90991d2000)
	/lib64/ld-linux-x86-64.so.2 (0x00007f9099279000)
"""
    assert libraries(said) == ["/lib/x86_64-linux-gnu/libdevmapper.so.1.02.1", "/lib64/ld-linux-x86-64.so.2"]
    assert libraries("\tstatically linked\n") == []
