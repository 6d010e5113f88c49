import pytest

from bluestone.image.formats.modules import NEEDED, load_order
from bluestone.model.problem import Problem

DEPENDENCIES = """\
kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-bufio.ko.xz kernel/drivers/md/dm-mod.ko.xz
kernel/drivers/md/dm-bufio.ko.xz: kernel/drivers/md/dm-mod.ko.xz
kernel/drivers/md/dm-mod.ko.xz:
kernel/fs/squashfs/squashfs.ko.xz:
kernel/arch/x86/crypto/sha256-ssse3.ko.xz:
kernel/drivers/input/evdev.ko.xz:
kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz
kernel/drivers/virtio/virtio_ring.ko.xz:
kernel/sound/soundcore.ko.xz:
"""
BUILTIN = "kernel/drivers/virtio/virtio_pci.ko\n"


def test_each_module_comes_after_what_it_needs_and_no_other_comes() -> None:
    names = [path.rpartition("/")[2].removesuffix(".ko.xz") for path in load_order(DEPENDENCIES, BUILTIN)]
    assert names == [
        "sha256-ssse3",
        "virtio_ring",
        "virtio_blk",
        "dm-mod",
        "dm-bufio",
        "dm-verity",
        "squashfs",
        "evdev",
    ]


def test_a_kernel_that_cannot_is_refused() -> None:
    with pytest.raises(Problem, match="it has no virtio_pci, squashfs"):
        load_order(DEPENDENCIES.replace("squashfs", "erofs"), "")


def test_modules_that_need_each_other_are_loaded_all_the_same() -> None:
    built_in = "".join(f"kernel/{name}.ko\n" for name in NEEDED)
    assert load_order("a/nvme.ko: b/core.ko\nb/core.ko: a/nvme.ko\n", built_in) == ["b/core.ko", "a/nvme.ko"]
