# SPDX-License-Identifier: Apache-2.0
#
# The monitor: libpico_la_SOURCES += lib/monitor/NAME.c
libpico_la_SOURCES += lib/monitor/bell.c lib/monitor/boot.c lib/monitor/census.c lib/monitor/clone.c lib/monitor/guard.c lib/monitor/instance.c lib/monitor/instance.h \
	lib/monitor/limits.c lib/monitor/log.c lib/monitor/notify.c lib/monitor/park.c lib/monitor/proc.c lib/monitor/process.c \
	lib/monitor/request.c lib/monitor/thread.c lib/monitor/worker.c

# Snapshots.
libpico_la_SOURCES += lib/monitor/digest.c lib/monitor/libos.c lib/monitor/manifest.c lib/monitor/processor.c lib/monitor/restore.c \
	lib/monitor/restore_streams.c lib/monitor/snapshot.c lib/monitor/snapshot_file.c

monitor_streams_sources = lib/monitor/attributes.c lib/monitor/host_errno.c lib/monitor/names.c \
	lib/monitor/policy.c lib/monitor/stream_app.c lib/monitor/stream_console.c lib/monitor/stream_dir.c \
	lib/monitor/stream_file.c lib/monitor/stream_memory.c lib/monitor/stream_null.c lib/monitor/stream_pipe.c \
	lib/monitor/stream_save.c lib/monitor/stream_table.c lib/monitor/streams.c lib/monitor/uri.c
libpico_la_SOURCES += $(monitor_streams_sources)

# The helper, from the host's side.
libpico_la_SOURCES += lib/monitor/spawn.c lib/monitor/spawn.h lib/monitor/launch.c lib/monitor/launch.h
