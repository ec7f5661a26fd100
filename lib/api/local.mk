# SPDX-License-Identifier: Apache-2.0
#
# The public calls: libpico_la_SOURCES += lib/api/NAME.c
libpico_la_SOURCES += lib/api/api.h lib/api/create.c lib/api/error.c lib/api/features.c \
	lib/api/options.c lib/api/run.c lib/api/snapshot.c lib/api/snapshot_info.c lib/api/stats.c lib/api/version.c
