# What is booted to find out whether a virtual machine works: from the reset vector through real mode, page tables
# and long mode to an answer at port 0xf4 (QEMU's isa-debug-exit). It is the last 256 bytes of a firmware of 64 KiB.
# Its bytes stand in accelerator.py:  as --64 probe.s -o p.o && objcopy -O binary -j .text p.o p.bin
.code16
start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    movl $0x2003, 0x1000                # one page of 2 MiB, mapped to itself; memory is zero at reset
    movl $0x3003, 0x2000
    movl $0x83, 0x3000
    mov $0x1000, %eax
    mov %eax, %cr3
    mov $0x20, %eax                     # CR4.PAE
    mov %eax, %cr4
    mov $0xC0000080, %ecx               # EFER.LME
    rdmsr
    or $0x100, %eax
    wrmsr
    lgdtl %cs:gdtr-start+0xff00
    mov %cr0, %eax
    or $0x80000001, %eax                # protection and paging: long mode begins
    mov %eax, %cr0
    ljmpl $8, $(0xfff00+long-start)
.code64
long:
    mov $1000, %ecx
1:  lock incq 0x5000                    # some work, whose result is looked at
    loop 1b
    cmpq $1000, 0x5000
    jne 2f
    mov $0x2a, %al
    out %al, $0xf4                      # QEMU ends with status 2 * 0x2a + 1
2:  hlt
    jmp 2b
.balign 8
gdt:
    .quad 0, 0x00af9a000000ffff         # null, 64-bit code
gdtr:
    .word 15
    .long 0xfff00+gdt-start
.org 0xf0                               # where an x86 begins: 16 bytes below 4 GiB
.code16
    ljmp $0xf000, $0xff00
.org 0x100
