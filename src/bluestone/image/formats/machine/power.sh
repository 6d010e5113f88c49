#!/run/bluestone-machine/busybox sh
exec /usr/bin/systemctl poweroff
